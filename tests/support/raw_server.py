"""A server of raw bytes, for answers that no real server would give."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile


@dataclass
class Raw:
    """A server that says exactly what a test wants: `answers` in turn; None closes the connection without one."""

    answers: list[bytes | None]
    url: str = ""
    accepted: int = 0
    requests: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket, open_connections: ExitStack) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                connection = open_connections.enter_context(listener.accept()[0])
                self.accepted += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                head = list(takewhile(bytes.strip, stream))
                stream.read(
                    next((int(text.split(b":")[1]) for text in head if text.lower().startswith(b"content-length")), 0)
                )
                self.requests.append(line.strip())
                answer = self.answers.pop(0) if self.answers else None
                if answer is None:
                    return
                connection.sendall(answer)


@contextmanager
def raw(*answers: bytes | None) -> Iterator[Raw]:
    """Run such a server."""
    with ExitStack() as connections, socket.create_server(("127.0.0.1", 0)) as listener:
        server = Raw(list(answers), f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=server.serve, args=(listener, connections))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
