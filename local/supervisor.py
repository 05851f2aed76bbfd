"""Keeps the parts of a stack alive: each is a process that is restarted when it ends, and stopped in order."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.part_log import PartLog
from local.processes import kill_all, start
from shared.core.errors import EvergreenError

STEADY = 10  # seconds; a part that ends sooner after its start is restarted with growing pauses
LONGEST_PAUSE = 10  # seconds
STARTS = 3  # how often in a row a part may end before the stack is first ready


class StartError(EvergreenError):
    """A part of the stack failed to start."""


class _Asked(Exception):
    """The stack was asked to stop."""


@dataclass(frozen=True)
class Part:
    """A process of the stack.

    Attributes:
        name: its name, also of its log.
        argv: the program and its arguments.
        answers: whether it is working.
        port: where it listens, for display.
        cwd: its working directory.
        stop_within: seconds that it has to end by itself.
    """

    name: str
    argv: list[str]
    answers: Callable[[], bool]
    port: int | None = None
    cwd: Path | None = None
    stop_within: float = 30


@dataclass
class _Run:
    """A part's process.

    Attributes:
        started: its start, on the monotonic clock.
        falls: how many processes of this part in a row have ended soon after their start.
    """

    process: subprocess.Popen[bytes]
    started: float
    falls: int


class Supervisor:
    """Starts parts stage by stage, keeps them alive, and stops them in reverse order.

    Args:
        stages: each starts when the one before it answers, and stops when the one after it has stopped.
        directory: gets `logs/<part>.log` and, while the stack runs, `pids.json`.
        environ: the environment of every part.
        say: prints one line of news.
    """

    def __init__(
        self, stages: Sequence[Sequence[Part]], directory: Path, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._stages = stages
        self._directory = directory
        self._environ = environ
        self._say = say
        self._runs: dict[str, _Run] = {}
        # each is a task for the thread of `run`
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ready = False
        self._is_full = False
        self._stopping = False
        self._hurried = False

    def run(self, ready: Callable[[], None], start_within: float = 60) -> None:
        """Start everything and keep it alive until `ask_to_stop`.

        The kernel ends the parts when the thread that called this ends.

        Args:
            ready: called once, when every part answers.
            start_within: seconds allowed until then.

        Raises:
            StartError: if a part keeps ending or does not respond; everything has been stopped by then.
        """
        deadline = time.monotonic() + start_within
        try:
            for stage in self._stages:
                for part in stage:
                    self._launch(part)
                for part in stage:
                    if not self._until(part.answers, deadline):
                        raise StartError(f"{part.name} does not respond. {self._log(part).end()}")
            self._ready = True
            ready()
            while True:
                self._events.get()()
        except _Asked:
            self._say("Stopping. Press Ctrl-C again to end everything at once.")
        finally:
            self._stop()

    def ask_to_stop(self) -> None:
        """Make `run` stop the parts and return; a second call ends them at once. Safe in a signal handler."""
        self._events.put(self._asked)

    def _asked(self) -> None:
        if not self._stopping:
            raise _Asked
        self._hurried = True

    def _launch(self, part: Part, falls: int = 0) -> None:
        if self._stopping:
            return
        log = self._log(part)
        try:
            log.rotate()
            process = start(part.argv, log.path, self._environ, part.cwd)
        except OSError as error:
            self._not_written(error)
            self._later(LONGEST_PAUSE, lambda: self._launch(part, falls))
            return
        run = self._runs[part.name] = _Run(process, time.monotonic(), falls)
        threading.Thread(target=self._report_end, args=(part, run), daemon=True).start()
        self._write_pids()

    def _report_end(self, part: Part, run: _Run) -> None:
        run.process.wait()
        self._events.put(lambda: self._ended(part, run))

    def _ended(self, part: Part, run: _Run) -> None:
        kill_all(run.process)  # its own children, which may still hold its port
        if self._stopping:
            return
        if not self._ready and (sentence := self._log(part).refusal()):
            raise StartError(sentence)
        falls = run.falls + 1 if time.monotonic() - run.started < STEADY else 1
        if falls >= STARTS and not self._ready:
            raise StartError(f"{part.name} failed to start. {self._log(part).end()}")
        pause = min(LONGEST_PAUSE, 2 ** (falls - 3)) if falls > 1 else 0
        when = f" in {pause:g} s" if pause else ""
        self._say(f"{part.name} ended ({_how(run.process)}); restarting it{when}. Its log: {self._log(part).path}")
        self._later(pause, lambda: self._launch(part, falls))

    def _later(self, seconds: float, task: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, self._events.put, [task])
        timer.daemon = True
        timer.start()

    def _not_written(self, error: OSError) -> None:
        """Say once that nothing can be written; before the stack is ready, that ends it."""
        why = f"{self._directory} cannot be written ({error.strerror})"
        if not self._ready:
            raise StartError(f"{why}. Make room, or correct its permissions.") from None
        if not self._is_full:
            self._say(f"{why}. Make room: what has ended starts again then.")
        self._is_full = True

    def _until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Run tasks until the condition holds; False if it does not by the deadline."""
        while not condition():
            if time.monotonic() > deadline:
                return False
            try:
                self._events.get(timeout=0.02)()
            except queue.Empty:
                continue
        return True

    def _stop(self) -> None:
        self._stopping = True
        for stage in reversed(self._stages):
            processes = [self._runs[part.name].process for part in stage if part.name in self._runs]
            for process in processes:
                process.terminate()
            deadline = time.monotonic() + max(part.stop_within for part in stage)
            # called at once
            self._until(lambda: self._hurried or all(process.poll() is not None for process in processes), deadline)  # noqa: B023
            for process in processes:
                kill_all(process)
        with suppress(OSError):
            (self._directory / "pids.json").unlink(missing_ok=True)

    def _write_pids(self) -> None:
        pids: dict[str, dict[str, int | None]] = {"supervisor": {"pid": os.getpid(), "port": None}}
        for part in itertools.chain(*self._stages):
            if run := self._runs.get(part.name):
                pids[part.name] = {"pid": run.process.pid, "port": part.port}
        unfinished = self._directory / "pids.json.new"
        try:
            unfinished.write_text(json.dumps(pids, indent=2) + "\n", encoding="utf-8")
            unfinished.rename(self._directory / "pids.json")
        except OSError as error:
            self._not_written(error)
            self._later(STEADY, self._write_pids)
            return
        if self._is_full:
            self._say(f"{self._directory} can be written again.")
        self._is_full = False

    def _log(self, part: Part) -> PartLog:
        return PartLog(self._directory / "logs" / f"{part.name}.log")


def _how(process: subprocess.Popen[bytes]) -> str:
    status = process.returncode
    return signal.Signals(-status).name if status < 0 else f"status {status}"
