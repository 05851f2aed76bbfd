"""What is measured of a contender, the same for each: first `pending`, then each of PHASES with the lead that its speed
asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import campaigns, load
from benchmarks.peers.stage import Stage
from benchmarks.provider import Provider
from benchmarks.subject import at

STEPS = campaigns.STEPS
DAY = 86_400
SLOW_MS = 100
QUIET, QUIET_AFTER_KILL, LONGEST = 15.0, 20.0, 90.0  # seconds
Measured = dict[str, float]


def memory(stage: Stage) -> float:
    """Megabytes (PSS) of all its processes."""
    return sum(float(one.memory_full_info().pss) for one in stage.processes()) / 1e6


def cpu(stage: Stage) -> float:
    """CPU seconds of all its processes that live, and of their children that have ended."""
    times = [one.cpu_times() for one in stage.processes()]
    own = sum(one.user + one.system for one in times)
    return own + sum(one.children_user + one.children_system for one in times)


def pending(stage: Stage, provider: Provider, customers: int) -> Measured:
    """Enroll for other days: how fast, how much memory it takes, and what it costs to wait."""
    provider.set()
    dues = [time.time() + DAY * number for number in range(1, STEPS + 1)]
    stage.enroll(
        [dues] * min(customers, load.CONNECTIONS)
    )  # the first requests open connections and load what is loaded late
    answers = stage.enroll([dues] * customers)
    time.sleep(2)
    before, began = cpu(stage), time.monotonic()
    time.sleep(4)
    idle = (cpu(stage) - before) / (time.monotonic() - began) * 100
    return {
        "enroll /s": answers.per_second,
        "sign-up p99 ms": at(answers.times, 0.99),
        "memory MB": memory(stage),
        "idle CPU %": idle,
    }


def spread(stage: Stage, provider: Provider, customers: int, lead: float) -> Measured:
    """Seven emails to each over half a minute."""
    provider.set()
    first = time.time() + lead
    anchors = [first + number / customers * (campaigns.GAP + 2) for number in range(customers)]
    stage.enroll([[anchor + campaigns.GAP * number for number in range(STEPS)] for anchor in anchors])
    came = provider.wait_for(customers * STEPS, quiet=QUIET, within=LONGEST, not_before=first + campaigns.GAP * STEPS)
    late = stage.lateness()
    early = sum(one < -2 for one in late)
    return {
        "late p50 ms": at(late, 0.5),
        "late p99 ms": at(late, 0.99),
        "early": early,
        "spread: lost": customers * STEPS - came,
    }


def _burst(
    stage: Stage,
    provider: Provider,
    customers: int,
    lead: float,
    *,
    quiet: float,
    delay_ms: float = 0,
    meanwhile: Callable[[int], None] | None = None,
) -> float:
    """Have all become due at once, wait for them, and return when that was."""
    provider.set(delay_ms=delay_ms)
    due = float(int(time.time() + lead + 1))
    stage.enroll([[due] * STEPS] * customers)
    time.sleep(max(0.0, due - time.time()))
    provider.wait_for(customers * STEPS, quiet=quiet, within=LONGEST, not_before=due, meanwhile=meanwhile)
    return due


def burst(stage: Stage, provider: Provider, customers: int, lead: float) -> Measured:
    """All at once; the provider answers at once."""
    before = cpu(stage)
    due = _burst(stage, provider, customers, lead, quiet=QUIET)
    arrivals, copies = provider.first_arrivals()
    return {
        "burst /s": _rate(arrivals, due),
        "CPU s / 1,000": (cpu(stage) - before) / max(1, len(arrivals)) * 1000,
        "burst: lost": customers * STEPS - len(arrivals),
        "burst: twice": copies.total() - len(copies),
    }


def slow(stage: Stage, provider: Provider, customers: int, lead: float) -> Measured:
    """All at once; the provider takes 100 ms. A tenth of the customers, for most take long."""
    due = _burst(stage, provider, max(1, customers // 10), lead, delay_ms=SLOW_MS, quiet=QUIET)
    return {"slow /s": _rate(provider.first_arrivals()[0], due)}


def killed(stage: Stage, provider: Provider, customers: int, lead: float) -> Measured:
    """All at once; when half are out, everything that sends or schedules is killed and started again."""
    wanted, done = customers * STEPS, list[float]()

    def at_half(count: int) -> None:
        if not done and count >= wanted / 2:
            done.append(count)
            stage.kill()

    _burst(stage, provider, customers, lead, meanwhile=at_half, quiet=QUIET_AFTER_KILL)
    arrivals, copies = provider.first_arrivals()
    return {
        "kill: lost": wanted - len(arrivals),
        "kill: twice": copies.total() - len(copies),
        "killed at": done[0] if done else float("nan"),
    }


def _rate(arrivals: dict[str, float], due: float) -> float:
    return len(arrivals) / max(0.001, max(arrivals.values(), default=due) - due)


def lead_for(customers: int, per_second: float) -> float:
    """Seconds that enrolling may take, with some to spare.

    Args:
        customers: how many.
        per_second: as they were enrolled before.
    """
    return 3 + 2 * customers / max(per_second, 0.1)


PHASES = (spread, burst, slow, killed)
