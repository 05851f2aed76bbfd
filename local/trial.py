"""A separate stack for tests and benchmarks: `python -m local` as a process, on free ports, in a temporary
directory."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from redis import Redis

from local import ports, stack
from shared.core import settings
from shared.core.stack_file import ROOT
from shared.ledger.client import Ledger

ANSWER_WITHIN = 120  # seconds


def environ_for(directory: Path, **changes: str) -> dict[str, str]:
    """The environment of such a stack: free ports, its own directory, and none of the owner's settings.

    Args:
        directory: where it keeps its state.
        changes: settings of this trial.
    """
    own = {name: value for name, value in os.environ.items() if name.lower() not in settings.Settings.model_fields}
    chosen = dict(zip(stack.PORTS, map(str, ports.free(len(stack.PORTS))), strict=True))
    return {**own, **chosen, "ENV_FILE": os.devnull, "LOCAL_DIR": str(directory), **changes}


class Trial:
    """A running stack, and what tests need of it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.directory = Path(environ["LOCAL_DIR"])
        self.url = f"http://127.0.0.1:{environ['PORT']}"
        self.sandbox_url = f"http://127.0.0.1:{environ['SANDBOX_PORT']}"
        self._valkey_port = int(environ["VALKEY_PORT"])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        if self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line.rstrip("\n"))

    def line_with(self, text: str, within: float = 180) -> str:
        """Wait for a line with a text; raises queue.Empty if it does not come within this many seconds."""
        deadline = time.monotonic() + within
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if text in line:
                return line

    def pids(self) -> dict[str, int]:
        """The process id of every part."""
        return {name: entry["pid"] for name, entry in json.loads((self.directory / "pids.json").read_text()).items()}

    def healthy(self) -> bool:
        """Whether the health function finds nothing wrong."""
        try:
            return requests.get(f"{self.url}/health", timeout=ANSWER_WITHIN).status_code == 200
        except requests.ConnectionError:
            return False

    def sign_up(self, form: Mapping[str, Any]) -> int:
        """Post a Christmas sign-up; returns the status."""
        return requests.post(f"{self.url}/webhook/christmas-signup", json=dict(form), timeout=ANSWER_WITHIN).status_code

    def outbox(self) -> list[dict[str, Any]]:
        """Every email that the sandbox accepted."""
        emails: list[dict[str, Any]] = requests.get(f"{self.sandbox_url}/outbox.json", timeout=ANSWER_WITHIN).json()
        return emails

    def outbox_count(self) -> int:
        """How many emails the sandbox accepted."""
        return int(requests.get(f"{self.sandbox_url}/outbox/count", timeout=ANSWER_WITHIN).json()["count"])

    def email_ids(self) -> list[str]:
        """Their email ids, oldest first; an email sent twice is listed twice."""
        return [next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id") for email in self.outbox()]

    def fault(self, **fault: Any) -> None:
        """Make the sandbox fail; the fields are those of its `/faults`."""
        requests.post(
            f"{self.sandbox_url}/faults", json={"provider": "resend", **fault}, timeout=ANSWER_WITHIN
        ).raise_for_status()

    def clear_faults(self) -> None:
        """Let the sandbox work again."""
        requests.delete(f"{self.sandbox_url}/faults", timeout=ANSWER_WITHIN).raise_for_status()

    def notion(self) -> dict[str, list[dict[str, Any]]]:
        """The rows in the sandbox's Notion by database, each as its columns' plain values."""
        found = requests.get(f"{self.sandbox_url}/notion.json", timeout=ANSWER_WITHIN).json()
        return {name: [page["properties"] for page in pages if not page["in_trash"]] for name, pages in found.items()}

    def limit(self, **per_second: float) -> None:
        """Set how many requests a second the sandbox takes: `resend`, `notion`."""
        limits = {f"{provider}_per_second": rate for provider, rate in per_second.items()}
        requests.post(f"{self.sandbox_url}/limits", json=limits, timeout=ANSWER_WITHIN).raise_for_status()

    def redis(self) -> Redis:
        """A client of the stack's Valkey."""
        password = (self.directory / "secrets" / "redis-password").read_text().strip()
        return Redis(port=self._valkey_port, password=password, decode_responses=True)

    def ledger(self) -> Ledger:
        """The stack's ledger."""
        return Ledger(self.redis())

    def stop_sending(self) -> None:
        """Close the gate manually."""
        self.ledger().stop_sending("stopped for a trial")

    def start_sending(self) -> None:
        """Open it again."""
        self.ledger().start_sending()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The gateway's log lines for one event, such as `email.not_sent`."""
        lines = (self.directory / "logs" / "gateway.log").read_text().splitlines()
        return [entry for line in lines if line.startswith("{") and (entry := json.loads(line)).get("event") == name]


@contextmanager
def running(directory: Path, **changes: str) -> Iterator[Trial]:
    """A ready stack for the duration of a `with` block; stopped at the end.

    Args:
        directory: where it keeps its state; reusing the directory brings the state back.
        changes: settings of this trial.
    """
    with start(environ_for(directory, **changes)) as trial:
        yield trial


@contextmanager
def start(environ: Mapping[str, str]) -> Iterator[Trial]:
    """Like `running`, in a given environment."""
    trial = Trial(environ)
    try:
        trial.line_with("Evergreen is ready")
        yield trial
        trial.process.terminate()
        trial.process.wait(60)
    finally:
        trial.process.kill()
        trial.process.wait()
