"""Misbehaving on the wire: keeping a caller waiting, and dropping its connection, from within a WSGI app.

WSGI has no word for either. Both servers that run the sandbox put the connection's socket into the environ, though:
gunicorn as
`gunicorn.socket`, werkzeug as `werkzeug.socket`. Once that is shut down, the server's own attempt to answer fails
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
    """Close the caller's connection without an answer.

    Args:
        environ: the WSGI environ of the request.
    """
    try:
        _socket_of(environ).shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the caller has hung up already


def hold(environ: dict[str, Any], seconds: float, stopping: threading.Event) -> None:
    """Keep the caller waiting, but no longer than it listens or the sandbox runs, so that no thread is lost to it.

    Args:
        environ: the WSGI environ of the request.
        seconds: how long at most.
        stopping: is set when the sandbox stops.
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
