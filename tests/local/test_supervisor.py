"""The supervisor of the local stack: parts that end come back, and nothing stays behind when it stops."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import part_log, supervisor
from local.supervisor import Part, StartError, Supervisor
from tests.support.waiting import WITHIN, gone, until

# Notes that it was asked to stop, after a while or never.
STUBBORN = """
import signal, sys, time
def asked(*_):
    with open(sys.argv[1], "a") as order:
        order.write(sys.argv[2] + "\\n")
    if sys.argv[3:] != ["never"]:
        sys.exit()
signal.signal(signal.SIGTERM, asked)
print("listening", flush=True)
while True:
    time.sleep(60)
"""


def sleeping(name: str) -> Part:
    """A part that does nothing until it is ended."""
    return Part(name, ["sleep", "1000"], lambda: True)


class Running:
    """A supervisor in a thread, and what it said."""

    def __init__(self, directory: Path, stages: Sequence[Sequence[Part]]) -> None:
        self.directory = directory
        self.news: queue.Queue[str] = queue.Queue()
        self.supervisor = Supervisor(stages, directory, os.environ, self.news.put)
        self.ready = threading.Event()
        self.error: StartError | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run(self.ready.set, start_within=WITHIN)
        except StartError as error:
            self.error = error

    def pid(self, name: str) -> int:
        """The process id of a part, as people would look it up."""
        return int(json.loads((self.directory / "pids.json").read_text())[name]["pid"])


@contextmanager
def running(directory: Path, *stages: Sequence[Part]) -> Iterator[Running]:
    """A supervisor whose parts all answer; stopped at the end."""
    run = Running(directory, stages)
    try:
        assert run.ready.wait(WITHIN)
        yield run
    finally:
        run.supervisor.ask_to_stop()
        run.thread.join(WITHIN)
        assert not run.thread.is_alive()


def test_a_killed_part_is_restarted_and_reported(tmp_path: Path) -> None:
    """One line names the part, how it ended and its log; a new process takes its place at once."""
    with running(tmp_path, [sleeping("store")], [sleeping("worker")]) as stack:
        before = {name: stack.pid(name) for name in ("store", "worker")}
        os.kill(before["worker"], signal.SIGKILL)
        assert (
            stack.news.get(timeout=WITHIN)
            == f"worker ended (SIGKILL); restarting it. Its log: {tmp_path}/logs/worker.log"
        )
        until(lambda: stack.pid("worker") != before["worker"])
        assert stack.pid("store") == before["store"]
        assert not gone(stack.pid("worker"))


def test_a_part_that_keeps_ending_is_restarted_later_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause grows, so that a broken part does not keep the machine busy."""
    monkeypatch.setattr(supervisor, "STEADY", 600)
    with running(tmp_path, [sleeping("worker")]) as stack:
        for pause in ("restarting it.", "restarting it in 0.5 s.", "restarting it in 1 s."):
            pid = stack.pid("worker")
            os.kill(pid, signal.SIGKILL)
            assert pause in stack.news.get(timeout=WITHIN)
            # mypy cannot infer a lambda with a default
            until(lambda pid=pid: stack.pid("worker") != pid)  # type: ignore[misc]


def test_processes_that_a_part_started_end_with_it(tmp_path: Path) -> None:
    """A killed part's own processes do not stay behind, holding its port."""
    child = tmp_path / "child"
    part = Part(
        "gateway", ["sh", "-c", f"sleep 1000 & echo $! > {child}.new; mv {child}.new {child}; wait"], child.exists
    )
    with running(tmp_path, [part]) as stack:
        pid = int(child.read_text())
        os.kill(stack.pid("gateway"), signal.SIGKILL)
        until(lambda: gone(pid))


def test_a_part_that_does_not_start_ends_everything_and_gives_the_reason(tmp_path: Path) -> None:
    """The error carries the end of the part's log, and nothing is left running."""
    broken = Part("gateway", ["sh", "-c", "echo the reason; exit 3"], lambda: False)
    pid_file = tmp_path / "store"
    store = Part(
        "store",
        ["sh", "-c", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 1000"],
        pid_file.exists,
    )
    stack = Running(tmp_path, [[store], [broken]])
    stack.thread.join(WITHIN)
    assert "gateway failed to start" in str(stack.error)
    assert "the reason" in str(stack.error)
    assert not stack.ready.is_set()
    assert gone(int(pid_file.read_text()))


def test_a_part_that_never_answers_is_named(tmp_path: Path) -> None:
    """A start has an end, also when a part hangs."""
    silent = Supervisor([[Part("gateway", ["sleep", "1000"], lambda: False)]], tmp_path, os.environ, print)
    with pytest.raises(StartError, match="gateway does not respond"):
        silent.run(lambda: None, start_within=0.1)


def test_parts_stop_in_the_opposite_order(tmp_path: Path) -> None:
    """Each stage is asked to stop only when those above it have ended."""
    order = tmp_path / "order"

    def part(name: str) -> Part:
        log = tmp_path / "logs" / f"{name}.log"
        return Part(name, [sys.executable, "-c", STUBBORN, str(order), name], lambda: "listening" in log.read_text())

    with running(tmp_path, [part("valkey")], [part("gateway")], [part("scheduler"), part("worker")]):
        pass
    asked = order.read_text().split()
    assert sorted(asked[:2]) == ["scheduler", "worker"]
    assert asked[2:] == ["gateway", "valkey"]
    assert not (tmp_path / "pids.json").exists()


@pytest.mark.parametrize(("stop_within", "asks"), [(0.2, 1), (1000, 2)])
def test_a_part_that_will_not_stop_is_killed(tmp_path: Path, stop_within: float, asks: int) -> None:
    """After its time, or at once when asked twice."""
    log, order = tmp_path / "logs" / "worker.log", tmp_path / "order"
    argv = [sys.executable, "-c", STUBBORN, str(order), "worker", "never"]
    part = Part("worker", argv, lambda: "listening" in log.read_text(), stop_within=stop_within)
    with running(tmp_path, [part]) as stack:
        pid = stack.pid("worker")
        for _ in range(asks):
            stack.supervisor.ask_to_stop()
            until(order.exists)
    until(lambda: gone(pid))


def test_a_long_log_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log does not grow forever: one older file is kept."""
    monkeypatch.setattr(part_log, "ROTATE_AT", 10)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").write_text("older lines")
    with running(tmp_path, [sleeping("worker")]):
        assert (tmp_path / "logs" / "worker.log.1").read_text() == "older lines"
        assert (tmp_path / "logs" / "worker.log").read_text() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process together with its parent")
def test_no_part_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    """Even kill -9 leaves nothing behind."""
    code = f"""
import os, pathlib
from local.supervisor import Part, Supervisor
part = Part("worker", ["sleep", "1000"], lambda: True)
Supervisor([[part]], pathlib.Path({str(tmp_path)!r}), os.environ, print).run(lambda: print("ready", flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        pid = int(json.loads((tmp_path / "pids.json").read_text())["worker"]["pid"])
        process.kill()
    until(lambda: gone(pid))
