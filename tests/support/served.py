"""A function behind the container's server, as a real process."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.core import stack_file
from tests.support.own_port import own_port
from tests.support.waiting import WITHIN, until


@contextmanager
def served(directory: Path, code: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real server process around one function, and its port."""
    source = directory / "main.py"
    source.write_text(code)
    given = {"FUNCTION_SOURCE": str(source), "FUNCTION_TARGET": "handle", "HOST": "127.0.0.1", **environ}
    with own_port() as port:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.serve"],
            cwd=stack_file.ROOT,
            env={**os.environ, **given, "PORT": str(port)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: get(port, "/_/ready") == 200)
            yield process, port
        finally:
            process.kill()
            process.communicate()


def get(port: int, path: str) -> int | None:
    """The status of an answer over a new connection; None when nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()
