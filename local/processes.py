"""Start a process that does not outlive its parent."""

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
    """Ask the kernel to end this process when its parent ends, for any reason. Linux only.

    Args:
        parent: the parent's process id; if it is already gone, this process ends here.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def start(
    argv: list[str], log: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, so that Ctrl-C at the terminal reaches only its parent.

    Args:
        argv: the program and its arguments.
        log: the file to which its output is appended.
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
    """End a process of `start` at once, with every process that it started.

    Args:
        process: the process from `start`; it may have ended already.
    """
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
