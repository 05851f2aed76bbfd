"""A port for a process that a test starts."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from local.ports import HOST


@contextmanager
def own_port() -> Iterator[int]:
    """A port that no other program is given for the length of a `with` block: it is bound, and a server that asks for
    it may listen there.

    On Linux only; elsewhere no program may listen on a port that another has bound, so there it is merely free at the
    beginning.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        port = int(holder.getsockname()[1])
        if sys.platform != "linux":
            holder.close()
        yield port
