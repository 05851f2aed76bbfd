"""Ports of 127.0.0.1: which are taken, and which are free for a second stack or a test."""

from __future__ import annotations

import socket
from contextlib import ExitStack

HOST = "127.0.0.1"


def in_use(port: int) -> bool:
    """Whether a program listens on (or has bound) this port.

    Args:
        port: a TCP port of 127.0.0.1.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not hold a port
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def free(count: int) -> list[int]:
    """Unused ports, all different.

    Args:
        count: how many.
    """
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
