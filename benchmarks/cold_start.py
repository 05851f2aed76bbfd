"""How soon each function answers after a start, and what it holds in memory: `python -m benchmarks.cold_start`.

Each runs as its container does (`python -m shared.serve`, FUNCTION_SOURCE), alone; the best of three starts and the
memory after a request.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from local import ports, valkey
from shared.core import stack_file
from shared.core.stack_file import ROOT

STARTS = 3
LONGEST = 20.0  # seconds
MADE_UP = {
    "BUSINESS_NAME": "Evergreen",
    "CALCOM_WEBHOOK_SECRET": "calcom-7e4a1c9d5b",
    "CALENDLY_SIGNING_KEY": "calendly-2b8d6f0a4c",
    "CONSOLE_PASSWORD": "spoons and 41 teapots",
    "INTERNAL_TOKEN": "internal-8f3b1d6c4e",
    "LOG_LEVEL": "ERROR",
    "OPERATOR_TOKEN": "operator-5c2e9a7f1b",
    "POSTAL_ADDRESS": "1 Main Street, Springfield",
    "RESEND_API_KEY": "re_made_up",
    "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
    "RESEND_WEBHOOK_SECRET": "whsec_" + "bWVhc3VyZWQsIGFuZCBub2JvZHkncyBvd24=",
    "UNSUBSCRIBE_KEY": "unsubscribe-4d1f7a9c3e8b2056f1a3",
}


def _status(port: int, path: str, method: str = "GET") -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except ConnectionError:
        return None
    finally:
        connection.close()


@contextmanager
def _started(environ: dict[str, str]) -> Iterator[tuple[psutil.Process, int, float]]:
    """A server, its port and the seconds until it was ready."""
    (port,) = ports.free(1)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "shared.serve"], cwd=ROOT, env={**environ, "HOST": "127.0.0.1", "PORT": str(port)}
    )
    try:
        while _status(port, "/_/ready") != 200:
            assert process.poll() is None, "it did not start"
            assert time.perf_counter() - began < LONGEST, "it did not become ready"
            time.sleep(0.005)
        yield psutil.Process(process.pid), port, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(LONGEST)


def _held(process: psutil.Process) -> float:
    """MiB of a process and its children, each shared page divided by those who share it (PSS)."""
    return sum(float(part.memory_full_info().pss) for part in [process, *process.children(recursive=True)]) / 2**20


def measure(environ: dict[str, str]) -> tuple[float, float]:
    """Seconds to the first answer (the best of several starts) and MiB after a request.

    Args:
        environ: the process's environment.
    """
    seconds, held = [], 0.0
    for _ in range(STARTS):
        with _started(environ) as (process, port, ready):
            seconds.append(ready)
            _status(port, "/", "POST")
            held = _held(process)
    return min(seconds), held


def main() -> None:
    """Measure every function, then all in one process, and print the table."""
    # for this run
    with tempfile.TemporaryDirectory() as directory, valkey.serve(Path(directory), password="made-up") as server:  # noqa: S106
        environ = {**os.environ, **MADE_UP, "REDIS_URL": server.url, "REDIS_PASSWORD": server.password, "DRAIN": "0s"}
        print("| function | ready after | memory (PSS) |\n|---|---|---|")
        for function in stack_file.listed():
            ready, held = measure({**environ, "FUNCTION_SOURCE": str(function.source)})
            print(f"| `{function.name}` | {ready:.2f} s | {held:.0f} MB |", flush=True)
        ready, held = measure(environ)
        print(f"| all in one process (`plain`) | {ready:.2f} s | {held:.0f} MB |")


if __name__ == "__main__":
    main()
