"""Evergreen as a benchmark sees it: the whole local stack on real processes, its emails going to the deliver stub."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks import campaigns, load
from benchmarks.provider import Provider
from local.trial import Trial, running
from shared.ledger import ids

SINGLY = "1000000"  # RESEND_BATCH_ABOVE: never in batches
FORM = {
    "first_name": "Ada",
    "business_name": "Analytical Engines",
    "assessment_score": 45,
    "red_systems": 2,
    "orange_systems": 1,
}


@dataclass(frozen=True)
class Spent:
    """CPU seconds of each part of the stack up to now."""

    by_part: dict[str, float]

    @property
    def total(self) -> float:
        """Of all."""
        return sum(self.by_part.values())


@dataclass
class Subject:
    """A running stack beside the stub.

    Attributes:
        trial: the stack.
        provider: the stub.
        customers: how many have signed up; each gets a new address.
    """

    trial: Trial
    provider: Provider
    customers: int = 0

    @property
    def port(self) -> int:
        """Of the gateway."""
        return int(self.trial.url.rpartition(":")[2])

    def sign_up(
        self,
        campaign: str,
        anchors: Sequence[float | None],
        *,
        per_second: float = 0,
        connections: int = load.CONNECTIONS,
        refused_every: int = 0,
    ) -> load.Answers:
        """Let customers sign up; raises RuntimeError where one was refused.

        Args:
            campaign: which of `campaigns`.
            anchors: for each customer, from which time (seconds since 1970) the delays count; None for the request's
                own.
            per_second: see `load.post_all`.
            connections: see `load.post_all`.
            refused_every: the provider refuses the address of each customer with such a number; 0: of none.
        """
        forms = [self._form(anchor) for anchor in anchors]
        for form in forms[::refused_every] if refused_every else []:
            form["email"] = f"refused-{form['email']}"
        answers = load.post_all(
            self.port, f"/webhook/{campaigns.TRIGGERS[campaign]}", forms, per_second=per_second, connections=connections
        )
        if set(answers.statuses) != {202}:
            raise RuntimeError(f"sign-ups were answered {dict(answers.statuses)}")
        return answers

    def _form(self, anchor: float | None) -> dict[str, Any]:
        self.customers += 1
        form = FORM | {"email": f"c{self.customers}@example.org"}
        return form if anchor is None else form | {"email_1_sent_at": datetime.fromtimestamp(anchor, UTC).isoformat()}

    def lateness(self) -> list[float]:
        """By how many milliseconds each email came after its due instant, sorted."""
        arrivals, _ = self.provider.first_arrivals()
        ledger, dues = self.trial.ledger(), dict[str, int]()
        for run in {ids.parse_email_id(name)[0] for name in arrivals}:
            if found := ledger.enrollment(run):
                dues |= {ids.email_id(run, step.number): step.due for step in found.steps}
        return sorted(at * 1000 - dues[name] for name, at in arrivals.items())

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes of each part but the sandbox, which stands in for others."""
        found: dict[str, list[psutil.Process]] = {}
        for name, pid in self.trial.pids().items():
            if name != "sandbox":
                process = psutil.Process(pid)
                found[name] = [process] if name == "supervisor" else [process, *process.children(recursive=True)]
        return found

    def memory(self) -> dict[str, float]:
        """Megabytes (PSS) of each part."""
        return {
            name: sum(one.memory_full_info().pss for one in parts) / 1e6 for name, parts in self.processes().items()
        }

    def spent(self) -> Spent:
        """CPU seconds of each part, up to now."""
        times = {name: [one.cpu_times() for one in parts] for name, parts in self.processes().items()}
        return Spent({name: sum(one.user + one.system for one in found) for name, found in times.items()})


@contextmanager
def evergreen(directory: Path, provider: Provider, **settings: str) -> Iterator[Subject]:
    """A stack for the length of a `with` block; nothing is recorded in Notion unless a setting says so.

    Args:
        directory: a new one, where it keeps its state.
        provider: the stub that takes its emails.
        settings: of this run.
    """
    chosen = {
        "CAMPAIGNS_DIR": str(campaigns.write(directory / "campaigns")),
        "NOTION_TOKEN": "none",  # without ids of databases nothing is asked of Notion
        "POSTAL_ADDRESS": "1 Sample Street, Toronto ON, Canada",
        "RESEND_API_KEY": "re_stub",
        "RESEND_API_URL": provider.url,
        "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
        "TESTING_MODE": "false",
        "WEBHOOK_RATE_PER_IP": "100000/second",
        **settings,
    }
    with running(directory / "stack", **chosen) as trial:
        subject = Subject(trial, provider)
        provider.set()  # it must not know this stack's first email from a stack before
        learn_rate(subject)
        yield subject


def learn_rate(subject: Subject) -> None:
    """Send one email, whose answer says how many requests the provider takes; until then Evergreen sends two a
    second."""
    before = subject.provider.count()["count"]
    subject.sign_up("once", [None])
    deadline = time.monotonic() + 30
    while subject.provider.count()["count"] == before:
        if time.monotonic() > deadline:
            raise TimeoutError("the first email did not arrive within 30 s; the end of the stack's logs says why")
        time.sleep(0.05)
    time.sleep(0.3)  # until it is settled


def at(values: Sequence[float], share: float) -> float:
    """A percentile of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
