"""Network misbehavior from within a WSGI app: keep a caller waiting, or drop its connection.

WSGI supports neither. But both servers that run the sandbox put the connection's socket into the environ: gunicorn as
`gunicorn.socket`, werkzeug as `werkzeug.socket`. Once the socket is shut down, the server's attempt to respond fails
harmlessly.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Any

_LOOK_SECONDS = 0.05


def _socket_of(environ: dict[str, Any]) -> socket.socket:
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket):
        raise RuntimeError("the sandbox can only drop a connection when gunicorn or werkzeug serves it")
    return connection


def drop(environ: dict[str, Any]) -> None:
    """Close the caller's connection without a response.

    Args:
        environ: the WSGI environ of the request.
    """
    try:
        _socket_of(environ).shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the caller has hung up already


def hold(environ: dict[str, Any], seconds: float, stopping: threading.Event) -> None:
    """Keep the caller waiting, but only while it listens and the sandbox runs, so that no thread is lost.

    Args:
        environ: the WSGI environ of the request.
        seconds: how long at most.
        stopping: set when the sandbox stops.
    """
    connection = _socket_of(environ)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stopping.wait(min(left, _LOOK_SECONDS)):
        if _hung_up(connection):
            return


def _hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    try:
        return bool(poll.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
