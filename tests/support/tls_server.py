"""A server that speaks TLS with a certificate that nothing trusts."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1, key.pem and cert.pem, in a folder; returns the folder."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl, which makes the certificate, is not installed")
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    return folder


@contextmanager
def tls(certificate: Path, talk: Callable[[ssl.SSLSocket], None]) -> Iterator[str]:
    """A server that speaks TLS, once; yields its address.

    Args:
        certificate: its folder.
        talk: what it does after the handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def serve() -> None:
        with (
            suppress(OSError),
            listener.accept()[0] as plain,
            context.wrap_socket(plain, server_side=True) as connection,
        ):
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        pool.submit(serve)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def in_front_of(port: int, *, certificate: Path | None = None, path: Path | None = None) -> Iterator[int]:
    """A door to a server of this machine, for any number of connections; yields its port.

    Args:
        port: the server's.
        certificate: the folder of the certificate with which it speaks TLS; None: it speaks as the server does.
        path: the Unix socket on which it listens; None: a free port.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    class Door(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as inner:
                outer = context.wrap_socket(self.request, server_side=True) if certificate else self.request
                threading.Thread(target=_carry, args=(inner, outer), daemon=True).start()
                _carry(outer, inner)

    kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
    with kind(str(path) if path else ("127.0.0.1", 0), Door) as server:  # type: ignore[arg-type]  # each takes its own
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield 0 if path else server.socket.getsockname()[1]
        server.shutdown()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
