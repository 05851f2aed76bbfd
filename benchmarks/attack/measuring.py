"""A stretch of time of one stack, quiet or under attack: what its customers, its owner and its ledger see."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from benchmarks.attack.customers import Customers
from benchmarks.subject import Subject
from shared.core.stack_file import ROOT
from shared.domain.catalog import Catalog
from shared.ledger.figures import Figures
from shared.ledger.health import read_health

CUSTOMERS, LEAVERS = 400, 40
STOPPING = 0.75  # the share of the time after which sending is stopped: the emails of 300 are due before
STOPPED_FOR = 2.0  # seconds
ENROLLED_WITHIN = 10  # seconds for all of them
LATE_WITHIN = 90  # seconds for what has waited

Attack = Callable[[], Counter[int]]


@dataclass
class Stretch:
    """What was seen.

    Attributes:
        statuses: of the attackers' requests.
        customers: of this stretch.
        late: milliseconds, sorted, of the emails that were due before sending was stopped; those that had not left when
            the attack was over count up to then.
        while_stopped: emails that left while sending was stopped.
        commands: seconds that `stop-sending` and `start-sending` took, or the last line of what they said.
        enrolled: sign-ups that were let through.
        held: sign-ups that are held for confirmation.
        memory: megabytes that count against `maxmemory`: before, and the most during it.
        slowest: milliseconds of the longest command or script in Redis; 0 if none took 5.
        words: what the owner was told, the titles of messages.
    """

    customers: Customers
    statuses: Counter[int] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    while_stopped: int = 0
    commands: list[float | str] = field(default_factory=list)
    enrolled: int = 0
    held: int = 0
    memory: tuple[float, float] = (0.0, 0.0)
    slowest: float = 0.0
    words: list[str] = field(default_factory=list)


def memory(subject: Subject) -> float:
    """Megabytes that count against Redis's `maxmemory`."""
    return read_health(subject.trial.ledger()).memory / 1e6


def command(subject: Subject, *words: str) -> float | str:
    """Run an `evergreen` command; returns the seconds that it took, or the end of what it said if it failed."""
    environ = os.environ | {"LOCAL_DIR": str(subject.trial.directory), "ENV_FILE": os.devnull}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "evergreen", *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    return time.perf_counter() - began if done.returncode == 0 else (done.stderr + done.stdout)[-300:]


def told(subject: Subject) -> list[str]:
    """The titles of all messages to the owner."""
    posted = requests.get(f"{subject.trial.sandbox_url}/discord.json", timeout=60).json()
    return [embed.get("title", "") for message in posted for embed in message["embeds"]]


def stretch(subject: Subject, catalog: Catalog, name: str, seconds: float, attack: Attack | None) -> Stretch:
    """Let an attack go on for that long, or none, and look at what becomes of customers meanwhile.

    Args:
        subject: the stack.
        catalog: its campaigns.
        name: of this stretch.
        seconds: for how long.
        attack: returns when it is over, after `seconds`.
    """
    redis, figures = subject.trial.redis(), Figures(subject.trial.ledger())
    customers = Customers(subject.trial, catalog, name)
    subject.provider.set()
    began = time.time() + ENROLLED_WITHIN
    customers.enroll(CUSTOMERS, LEAVERS, began + 1, seconds - 1)
    found, most = Stretch(customers), memory(subject)
    before, words, enrolled = most, len(told(subject)), figures.funnel("once").get("enrolled", 0)
    held = read_health(subject.trial.ledger()).held
    redis.config_set("slowlog-log-slower-than", 5000)
    redis.config_set("slowlog-max-len", 1000)
    redis.slowlog_reset()
    time.sleep(max(0.0, began - time.time()))
    attackers = threading.Thread(target=lambda: found.statuses.update(attack() if attack else {}), daemon=True)
    attackers.start()
    stop_at = began + STOPPING * seconds
    for number in range(LEAVERS):
        time.sleep(max(0.0, began + number / LEAVERS * (stop_at - began) - time.time()))
        customers.leave(number)
        most = max(most, memory(subject))
    time.sleep(max(0.0, stop_at - time.time()))
    stopped_from = time.time()
    _stop_and_start(subject, found)
    attackers.join(seconds + 60)
    found.memory = before, max(most, memory(subject))
    found.held = read_health(subject.trial.ledger()).held - held
    found.enrolled = figures.funnel("once").get("enrolled", 0) - enrolled
    time.sleep(3)  # for what has just become due, and for messages to the owner
    found.late = lateness(subject, found, stopped_from)
    found.slowest = max((entry["duration"] / 1000 for entry in redis.slowlog_get(1000)), default=0.0)
    redis.slowlog_reset()  # which takes memory
    found.words = told(subject)[words:]
    return found


def _stop_and_start(subject: Subject, found: Stretch) -> None:
    """Stop sending, see that no customer's email leaves, and start again."""
    found.commands.append(command(subject, "stop-sending", "measured"))
    first = len(subject.provider.mails())
    time.sleep(STOPPED_FOR)
    found.while_stopped = len(subject.provider.mails()) - first
    found.commands.append(command(subject, "start-sending"))


def lateness(subject: Subject, found: Stretch, until: float) -> list[float]:
    """By how many milliseconds each email left after its due instant, of those due up to a time; one that has not left
    counts up to now."""
    arrivals, now = subject.provider.first_arrivals()[0], time.time()
    dues = {name: due for name, due in found.customers.dues.items() if due < until - 1}
    return sorted((arrivals.get(name, now) - due) * 1000 for name, due in dues.items())


def missing(subject: Subject, stretches: list[Stretch]) -> tuple[int, int]:
    """Wait for what is left; returns how many of the customers' emails never left, and how many left twice."""
    wanted = {name for one in stretches for name in one.customers.dues}
    deadline = time.monotonic() + LATE_WITHIN
    while wanted - set(subject.provider.first_arrivals()[0]) and time.monotonic() < deadline:
        time.sleep(0.5)
    arrivals, copies = subject.provider.first_arrivals()
    return len(wanted - set(arrivals)), sum(copies[name] > 1 for name in wanted)


def purge(subject: Subject) -> float | str:
    """Erase what strangers have left; returns the seconds that it took, or what went wrong."""
    return command(subject, "purge", "--since", "1h", "--unconfirmed", "--yes", "--json")
