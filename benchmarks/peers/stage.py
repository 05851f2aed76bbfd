"""A contender at work: its processes beside a Valkey of its own and the stub. Evergreen's stage has the same face."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks import load
from benchmarks.peers.contenders import Contender
from benchmarks.provider import Provider
from benchmarks.subject import SINGLY, Subject, evergreen
from local import ports, processes, valkey
from shared.core.settings import Settings

START_WITHIN = 90  # seconds
WARM = 3.0  # seconds
RESTART_AFTER = 1.0  # seconds from a kill to the next start, as a supervisor would


class Stage(Protocol):
    """A contender that runs."""

    def enroll(self, dues: Sequence[Sequence[float]]) -> load.Answers:
        """Sign up a customer for each list of due instants (seconds since 1970), through HTTP."""

    def lateness(self) -> list[float]:
        """Milliseconds from each email's due instant to its arrival, sorted."""

    def processes(self) -> list[psutil.Process]:
        """All of them, but the stub."""

    def kill(self) -> None:
        """Kill -9 all that sends or schedules, and let it start again."""


class PeerStage:
    """Of one of the others.

    Args:
        contender: which.
        provider: the stub.
        directory: for logs and state.
        redis: the Valkey.
    """

    def __init__(self, contender: Contender, provider: Provider, directory: Path, redis: valkey.Valkey) -> None:
        self._contender, self._provider, self._directory = contender, provider, directory
        self._port, spare = ports.free(2)
        self._words = {"redis": redis.url, "spare": str(spare), "directory": str(directory.resolve())}
        own = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        given = {name: self._filled(value) for name, value in contender.environ.items()}
        wiring = {"PYTHONPATH": contender.path, "REDIS_PORT": str(redis.port), "STUB_PORT": str(provider.port)}
        self._environ = {**own, **given, **wiring, "PYTHONDONTWRITEBYTECODE": "1"}
        self._redis, self._customers = redis.process, 0
        self._others: list[subprocess.Popen[bytes]] = []
        self._workers: list[subprocess.Popen[bytes]] = []

    def _filled(self, text: str) -> str:
        for word, value in self._words.items():
            text = text.replace(f"{{{word}}}", value)
        return text

    def _start(self, program: Sequence[str]) -> subprocess.Popen[bytes]:
        argv = self._contender.command(tuple(map(self._filled, program)))
        return processes.start(argv, self._directory / f"{Path(argv[0]).name}.log", self._environ, self._directory)

    def start(self) -> None:
        """Start everything; raises RuntimeError where a part does not come up."""
        if self._contender.server:
            self._others.append(self._start(self._contender.server))
            self._await(int(self._words["spare"]))
            time.sleep(WARM)
        for program in self._contender.prepare:
            argv = self._contender.command(tuple(map(self._filled, program)))
            done = subprocess.run(
                argv, env=self._environ, cwd=self._directory, capture_output=True, timeout=START_WITHIN, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{argv[0]} failed: {done.stderr.decode()[-500:]}")
        self._workers = [self._start(program) for program in self._contender.workers]
        web = (
            "python",
            "-m",
            "uvicorn",
            "signup:app",
            "--port",
            str(self._port),
            "--log-level",
            "warning",
            "--no-access-log",
        )
        self._others.append(self._start(web))
        self._await(self._port)
        time.sleep(WARM)
        for worker in self._workers:
            if worker.poll() is not None:
                raise RuntimeError(f"a worker ended at once; its log is in {self._directory}")

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + START_WITHIN
        while not ports.in_use(port):
            if time.monotonic() > deadline or any(part.poll() is not None for part in self._others):
                logs = "\n".join(file.read_text(errors="replace")[-400:] for file in self._directory.glob("*.log"))
                raise RuntimeError(f"it did not start within {START_WITHIN} s: {logs}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End everything."""
        for part in [*self._workers, *self._others]:
            processes.kill_all(part)
            part.wait()

    def enroll(self, dues: Sequence[Sequence[float]]) -> load.Answers:
        """See `Stage`."""
        forms = [{"customer": self._customers + number, "dues": list(instants)} for number, instants in enumerate(dues)]
        self._customers += len(forms)
        answers = load.post_all(self._port, "/signup", forms)
        if set(answers.statuses) != {202}:
            raise RuntimeError(f"sign-ups were answered {dict(answers.statuses)}")
        return answers

    def lateness(self) -> list[float]:
        """See `Stage`."""
        arrivals, _ = self._provider.first_arrivals()
        return sorted(at * 1000 - int(name.rpartition("-")[2]) for name, at in arrivals.items())

    def processes(self) -> list[psutil.Process]:
        """See `Stage`."""
        roots = [psutil.Process(part.pid) for part in (*self._workers, *self._others, self._redis)]
        return [one for root in roots for one in (root, *root.children(recursive=True))]

    def kill(self) -> None:
        """See `Stage`."""
        for worker in self._workers:
            processes.kill_all(worker)
            worker.wait()
        time.sleep(RESTART_AFTER)
        self._workers = [self._start(program) for program in self._contender.workers]


class EvergreenStage:
    """Of Evergreen.

    Args:
        subject: the running stack.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def enroll(self, dues: Sequence[Sequence[float]]) -> load.Answers:
        """See `Stage`; a list must be one that the benchmark's campaigns make."""
        first = dues[0]
        campaign = "burst" if first[0] == first[-1] else "spread" if first[-1] - first[0] < 3600 else "later"
        return self._subject.sign_up(campaign, [None if campaign == "later" else instants[0] for instants in dues])

    def lateness(self) -> list[float]:
        """See `Stage`."""
        return self._subject.lateness()

    def processes(self) -> list[psutil.Process]:
        """See `Stage`."""
        return [one for parts in self._subject.processes().values() for one in parts]

    def kill(self) -> None:
        """See `Stage`: the scheduler, the worker and the gateway with the send function in it."""
        pids = self._subject.trial.pids()
        for root in (
            psutil.Process(pid) for name, pid in pids.items() if name.startswith(("scheduler", "worker", "gateway"))
        ):
            for one in (root, *root.children(recursive=True)):
                try:
                    one.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:  # it ended with its parent
                    continue


@contextmanager
def on_stage(contender: Contender | str, provider: Provider, directory: Path, fsync: str) -> Iterator[Stage]:
    """Run a contender for the length of a `with` block.

    Args:
        contender: which; `batches` or `singly` for Evergreen.
        provider: the stub.
        directory: a new one.
        fsync: the Valkey's `appendfsync`; Evergreen's is always `always`.
    """
    if isinstance(contender, str):
        settings = {"RESEND_BATCH_ABOVE": SINGLY, "SEND_WORKERS": "4"} if contender == "singly" else {}
        with evergreen(directory, provider, PROVIDER_TIMEOUT="2s", **settings) as subject:
            yield EvergreenStage(subject)
        return
    with valkey.serve(directory / "valkey", fsync=fsync) as redis:
        stage = PeerStage(contender, provider, directory, redis)
        try:
            stage.start()
            yield stage
        finally:
            stage.stop()
