"""Starting a process that does not outlive the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends, however that ends. Without effect but on Linux.

    Args:
        parent: the parent's process id; when it is gone already, this process ends here.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def start(
    argv: list[str], log: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that a Ctrl-C at the terminal reaches only who started it.

    Args:
        argv: the program and its arguments.
        log: where its output goes, at the end of what is there.
        environ: its environment (default: this process's).
        cwd: its working directory (default: this process's).
    """
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - only our own parts are started here
            argv,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """End a process of `start` at once, with every process that it started itself.

    Args:
        process: what `start` returned; it may have ended already.
    """
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
