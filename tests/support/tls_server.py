"""A server that speaks TLS with a certificate that nothing trusts."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
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
