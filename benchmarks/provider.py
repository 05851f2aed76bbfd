"""The deliver stub as a process, and what a benchmark asks of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from local import ports, processes
from shared.core.stack_file import ROOT


class Provider:
    """The stub.

    Args:
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def set(self, *, delay_ms: float = 0, per_second: float | None = None) -> None:
        """Forget all emails, and behave like this from now on.

        Args:
            delay_ms: how long an answer takes.
            per_second: requests that are taken; None for no limit.
        """
        limit = {} if per_second is None else {"per_second": per_second}
        requests.post(f"{self.url}/set", json={"delay_ms": delay_ms, **limit}, timeout=10).raise_for_status()

    def count(self) -> dict[str, int]:
        """How many emails (`count`), `requests` and `refused` ones; how many emails to wrong addresses (`rejected`),
        and how often one of these came again (`asked_again`)."""
        found: dict[str, int] = requests.get(f"{self.url}/count", timeout=30).json()
        return found

    def unique(self) -> int:
        """How many different emails."""
        return int(requests.get(f"{self.url}/unique", timeout=30).json()["unique"])

    def mails(self) -> list[tuple[str, float]]:
        """Every accepted email: its id, and when, in seconds since 1970."""
        return [(name, at) for name, at in requests.get(f"{self.url}/mails", timeout=60).json()]

    def first_arrivals(self) -> tuple[dict[str, float], Counter[str]]:
        """When each email came first, and how often it came."""
        arrivals: dict[str, float] = {}
        copies = Counter[str]()
        for name, at in self.mails():
            arrivals.setdefault(name, at)
            copies[name] += 1
        return arrivals, copies

    def wait_for(
        self,
        wanted: int,
        *,
        quiet: float = 20,
        within: float = 120,
        not_before: float = 0,
        meanwhile: Callable[[int], None] | None = None,
    ) -> int:
        """Wait until this many different emails are there; returns how many came.

        Args:
            wanted: how many.
            quiet: seconds without a new one after which it gives up.
            within: seconds after which it gives up anyhow.
            not_before: the time (seconds since 1970) from which silence counts.
            meanwhile: called with each count.
        """
        deadline, last, changed = time.time() + max(within, not_before - time.time() + within), -1, time.time()
        while True:
            found = self.unique()
            if meanwhile:
                meanwhile(found)
            if found != last:
                last, changed = found, time.time()
            if found >= wanted or time.time() > deadline or time.time() - max(changed, not_before) > quiet:
                return found
            time.sleep(0.1)


@contextmanager
def serve(directory: Path) -> Iterator[Provider]:
    """Run the stub for the length of a `with` block.

    Args:
        directory: where its log goes.
    """
    (port,) = ports.free(1)
    process = processes.start([sys.executable, "-m", "benchmarks.stub", str(port)], directory / "stub.log", cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while not ports.in_use(port):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the stub did not start: {(directory / 'stub.log').read_text()[-500:]}")
            time.sleep(0.02)
        yield Provider(port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            processes.kill_all(process)
