"""How long `evergreen restore` and `evergreen verify` take, and how much memory: `python -m benchmarks.restore_size
[TRACKER/LOG …]`, such as `12000/40000`, in rows.

The rows are written straight into the sandbox's file; then a lost ledger is restored from them, and verified, by the
real commands. The sandbox answers as fast as it can: the real Notion takes 3 requests a second.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.machine import described, machine
from local import ports, processes, valkey
from local.sandbox.notion import pages, seed
from local.sandbox.state import State, open_state
from shared.core.stack_file import ROOT
from shared.integrations.notion_values import Column, Value, iso, write
from shared.ledger import ids
from shared.notion.schema import CONTACTS, EMAIL_LOG, TRACKER, Source

SIZES = ("1200/4000", "12000/12000", "12000/40000")
HOURS = (0, 24, 72, 120, 168, 216, 264)  # the Christmas emails after their anchor
LISTED = 48 * 3600  # seconds for which Resend keeps its list
LAYOUT = "evergreen"


@dataclass(frozen=True)
class Figures:
    """What a command took.

    Attributes:
        seconds: from start to end.
        peak: the most memory that it held, in MiB.
        answer: what it printed as JSON.
    """

    seconds: float
    peak: float
    answer: Any


@dataclass
class Filler:
    """Fills the sandbox with people in the middle of the Christmas emails, as the recorder would have.

    Attributes:
        state: the sandbox's parts.
        made: the ids of its databases.
        now: its clock, in seconds since 1970.
    """

    state: State
    made: dict[str, Any]
    now: list[float]

    def fill(self, people: int, emails: int) -> None:
        """Write the rows in the order of their time.

        Args:
            people: how many have a contact and an enrollment.
            emails: how many went out to them, seven to each at most.
        """
        moments = [
            moment
            for number in range(people)
            for moment in self._person(number, people, emails // people + (number < emails % people))
        ]
        with self.state.notion.transaction():
            for at, happen in sorted(moments, key=lambda moment: moment[0]):
                self.now[0] = at
                happen()

    def _person(self, number: int, people: int, sent: int) -> Iterator[tuple[float, Callable[[], object]]]:
        """When what happened to one of them, seconds since 1970; the next email is an hour away or more."""
        email, until = f"person{number}@example.org", (*HOURS, 10_000)[sent] - 1
        begin = HOURS[sent - 1] + 1 if sent else 0
        anchor = self.now[0] - 3600 * (begin + (until - begin) * number / people)
        run = f"{ids.enrollment_prefix('christmas', email)}-1"
        sends = {step + 1: anchor + hours * 3600 + 5 for step, hours in enumerate(HOURS[:sent])}
        person: dict[str, Value] = {"Name": f"Person {number}", "Email": email}
        scores: dict[str, Value] = {"First Name": f"Person {number}", "Red Systems": 2, "Subscription": "subscribed"}
        enrollment: dict[str, Value] = {
            "Campaign": "Christmas 2025",
            "Segment": "CRITICAL",
            "Status": "Active",
            "Anchor": _date(anchor),
            "Enrollment ID": run,
        }
        enrollment |= {f"Email {step} Sent": _date(at) for step, at in sends.items()}
        yield anchor, lambda: self._row("contacts", CONTACTS, person | scores)
        yield anchor, lambda: self._row("tracker", TRACKER, person | enrollment)
        for step, at in sends.items():
            yield at, functools.partial(self._email, email, run, step, at)

    def _email(self, email: str, run: str, step: int, at: float) -> None:
        id = str(uuid.uuid4())
        values: dict[str, Value] = {"Email ID": ids.email_id(run, step), "Email": email, "Campaign": "Christmas 2025"}
        values |= {"Email Number": step, "Template": f"christmas_email_{step}", "Sent At": _date(at), "Status": "Sent"}
        self._row("email_log", EMAIL_LOG, values | {"Resend ID": id, "Sent By": "evergreen"})
        if at > time.time() - LISTED:
            body = {"from": "hello@example.org", "to": [email], "subject": f"Email {step}", "text": "Hello"}
            self.state.store.accept([(id, body)], None, None)

    def _row(self, name: str, source: Source, values: dict[str, Value]) -> None:
        types = {column.name: Column(column.type) for column in source.properties}
        properties = {column: write(types[column], value) for column, value in values.items()}
        parent = {"data_source_id": self.made[name]["data_source_id"]}
        pages.create(self.state.notion, {"parent": parent, "properties": properties}, "the benchmark")


def _date(at: float) -> str:
    return iso(round(at * 1000)) or ""


@contextmanager
def sandbox(directory: Path, people: int, emails: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sandbox with these rows, in a process of its own; yields its URL, and the ids of its databases.

    Args:
        directory: for its file and log.
        people: the rows of the contacts and of the tracker.
        emails: the rows of the email log.
    """
    now = [time.time()]
    state = open_state(directory, clock=lambda: now[0])
    made = seed.plant(state.notion, LAYOUT)
    Filler(state, made, now).fill(people, emails)
    state.set_limits({"resend_per_second": 10_000, "notion_per_second": 10_000})
    state.close()
    (port,) = ports.free(1)
    environ = os.environ | {"SANDBOX_PORT": str(port), "LOCAL_DIR": str(directory), "LOG_LEVEL": "ERROR"}
    process = processes.start([sys.executable, "-m", "local.sandbox"], directory / "sandbox.log", environ, ROOT)
    try:
        deadline = time.monotonic() + 30
        while not ports.in_use(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the sandbox did not start: {(directory / 'sandbox.log').read_text()[-500:]}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", made
    finally:
        processes.kill_all(process)


def settings(url: str, made: dict[str, Any], server: valkey.Valkey) -> dict[str, str]:
    """The environment of the commands, without this machine's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "NOTION_TOKEN": "ntn_sandbox",
        "NOTION_API_URL": f"{url}/notion",
        "NOTION_RATE": "10000",
        "NOTION_BUSINESSX_DB_ID": made["contacts"]["database_id"],
        "NOTION_EMAIL_SEQUENCE_DB_ID": made["tracker"]["database_id"],
        "NOTION_EMAIL_LOG_DB_ID": made["email_log"]["database_id"],
        "RESEND_API_KEY": "re_sandbox",
        "RESEND_API_URL": f"{url}/resend",
        "RESEND_FROM_EMAIL": "Evergreen <hello@example.org>",
        "RESEND_RATE": "10000",
        "REDIS_URL": server.url,
        "REDIS_PASSWORD": server.password,
    }


def run(environ: dict[str, str], *words: str) -> Figures:
    """Run `evergreen …`; its progress goes to this terminal."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "evergreen", *words, "--json"], cwd=ROOT, env=environ, stdout=-1)
    assert process.stdout
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if not answer:
        raise RuntimeError(f"evergreen {' '.join(words)} ended with status {process.returncode}")
    return Figures(time.perf_counter() - began, usage.ru_maxrss / 1024, json.loads(answer))


def measure(people: int, emails: int) -> str:
    """A row of the table: what both commands took for a ledger of this size; raises RuntimeError unless all came
    back."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            sandbox(directory / "sandbox", people, emails) as (url, made),
            valkey.serve(directory / "valkey", password="made-up") as server,  # noqa: S106 - for this run
        ):
            requests.get(f"{url}/notion/count", timeout=60).raise_for_status()
            environ = settings(url, made, server)
            restored, verified = run(environ, "restore", "--yes"), run(environ, "verify")
    if restored.answer["runs"] != {"restored": people} or restored.answer["steps"].get("sent", 0) != emails:
        raise RuntimeError(f"restored: {restored.answer['runs']}, {restored.answer['steps']}")
    if verified.answer["findings"]:
        raise RuntimeError(f"{len(verified.answer['findings'])} findings, such as {verified.answer['findings'][0]}")
    costs = (f"{one.seconds:.0f} s, {one.peak:.0f} MB" for one in (restored, verified))
    return f"| {people:,} | {emails:,} | {' | '.join(costs)} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES)
    about = described(machine())
    rows = [measure(*map(int, size.split("/"))) for size in parser.parse_args().sizes]
    head = "| tracker rows | log rows | `restore` | `verify` |\n|---|---|---|---|"
    print("\n".join([about, "", head, *rows]))


if __name__ == "__main__":
    main()
