"""What `make bench` measures, part by part: each takes a running stack, or a directory, and adds its figures to the
report."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks import campaigns, size
from benchmarks.figures import Figure, Report
from benchmarks.machine import client
from benchmarks.subject import Subject, at, learn_rate
from local import valkey

STEPS = campaigns.STEPS
CONSOLE_AT = 100_000  # enrollments
SIZES = (1_000, 10_000, 100_000, 1_000_000)  # scheduled steps
LIMITS = (2, 10)  # requests a second
DUE, REFUSED_EVERY = 2_000, 50
SLOW = 100  # milliseconds that a slow provider takes


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        customers: who get seven emails each.
        most: scheduled steps from which is released, at most.
        due: emails that are due at once where the provider has a limit.
    """

    customers: int
    most: int
    due: int


def webhook(plan: Plan, subject: Subject, report: Report) -> None:
    """Sign-ups at 100 a second, what the stack then holds, and sign-ups as fast as they go."""
    steady = subject.sign_up("later", [None] * plan.customers, per_second=100)
    report.add(
        Figure("webhook at 100 requests/s, p50", at(steady.times, 0.5), "ms", slack=1),
        Figure("webhook at 100 requests/s, p99", at(steady.times, 0.99), "ms", tolerance=0.6, slack=5, target=50),
    )
    time.sleep(2)
    memory = subject.memory()
    held = f"memory (PSS), {plan.customers * STEPS:,} pending"
    report.add(Figure(held, sum(memory.values()), "MB", tolerance=0.1, fixed=True, target=350))
    print(
        "    "
        + ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in sorted(memory.items(), key=lambda item: -item[1])),
        flush=True,
    )
    before, began = subject.spent().total, time.monotonic()
    time.sleep(4)
    idle = (subject.spent().total - before) / (time.monotonic() - began)
    report.add(Figure("CPU while nothing is due", idle * 100, "% of a core", tolerance=0.5, slack=1))
    full = subject.sign_up("later", [None] * plan.customers * 4)
    report.add(
        Figure("enrollments through HTTP, as fast as they go", full.per_second, "/s", "more", target=800),
        Figure("webhook as fast as they go, p50", at(full.times, 0.5), "ms", slack=2),
        Figure("webhook as fast as they go, p99", at(full.times, 0.99), "ms", tolerance=0.6, slack=10),
    )


def spread(plan: Plan, subject: Subject, report: Report) -> None:
    """Seven emails to each customer over half a minute: how late they come."""
    subject.provider.set()
    first = time.time() + 2 + plan.customers / 300
    subject.sign_up(
        "spread", [first + number / plan.customers * (campaigns.GAP + 2) for number in range(plan.customers)]
    )
    subject.provider.wait_for(plan.customers * STEPS, not_before=first + campaigns.GAP * STEPS)
    late, copies = subject.lateness(), subject.provider.first_arrivals()[1]
    report.add(
        Figure("lateness, p50", at(late, 0.5), "ms", slack=3, target=15),
        Figure("lateness, p99", at(late, 0.99), "ms", tolerance=0.6, slack=15, target=50),
        Figure("lateness, max", late[-1] if late else float("nan"), "ms", tolerance=1, slack=50),
        Figure("earliest after its due", late[0] if late else float("nan"), "ms", "more", tolerance=9, slack=50),
        Figure("early", sum(one < 0 for one in late), "emails", fixed=True, target=0),
        Figure("lost", plan.customers * STEPS - len(copies), "emails", fixed=True, target=0),
        Figure("twice", copies.total() - len(copies), "emails", fixed=True, target=0),
    )


def _drain(
    subject: Subject, customers: int, meanwhile: Callable[[int], None] | None = None, delay_ms: float = 0
) -> tuple[float, float, float]:
    """Let seven emails to each customer become due at once; returns emails a second, CPU seconds, and how many did not
    come."""
    subject.provider.set(delay_ms=delay_ms)
    due = time.time() + 2 + customers / 200
    subject.sign_up("burst", [due] * customers)
    if time.time() > due:
        print("    this machine is too busy: some were due before all had signed up", flush=True)
    time.sleep(max(0.0, due - time.time()))
    before = subject.spent().by_part
    came = subject.provider.wait_for(customers * STEPS, not_before=due, meanwhile=meanwhile)
    cpu = {name: seconds - before.get(name, 0) for name, seconds in subject.spent().by_part.items()}
    if came:
        parts = sorted(cpu.items(), key=lambda part: -part[1])
        print(
            "    CPU ms an email: " + ", ".join(f"{name} {seconds / came * 1000:.1f}" for name, seconds in parts),
            flush=True,
        )
    arrivals, _ = subject.provider.first_arrivals()
    return came / max(max(arrivals.values(), default=due) - due, 0.001), sum(cpu.values()), customers * STEPS - came


def burst(plan: Plan, subject: Subject, report: Report) -> None:
    """All due at once, in batches, with a quick and a slow provider."""
    for delay in (0, SLOW):
        rate, cpu, missing = _drain(subject, plan.customers, delay_ms=delay)
        name = (
            f"burst of {plan.customers * STEPS:,} in batches, provider takes {delay} ms"
            if delay
            else f"burst of {plan.customers * STEPS:,} in batches"
        )
        goal = 500 if delay else 1_000
        report.add(
            Figure(name, rate, "/s", "more", target=goal),
            Figure(f"{name}: lost", missing, "emails", fixed=True, target=0),
        )
        if not delay:
            report.add(Figure("CPU for 1,000 emails in batches", cpu / plan.customers / STEPS * 1000, "s", slack=0.2))


def singly(plan: Plan, subject: Subject, report: Report) -> None:
    """All due at once, one request for each email, four workers."""
    rate, cpu, missing = _drain(subject, plan.customers)
    name = f"burst of {plan.customers * STEPS:,} singly"
    report.add(
        Figure(name, rate, "/s", "more", target=250), Figure(f"{name}: lost", missing, "emails", fixed=True, target=0)
    )
    report.add(Figure("CPU for 1,000 emails singly", cpu / plan.customers / STEPS * 1000, "s", slack=0.2))
    rate, _, _ = _drain(subject, max(1, plan.customers // 15), delay_ms=SLOW)
    report.add(Figure(f"singly, provider takes {SLOW} ms", rate, "/s", "more"))


def kill(plan: Plan, subject: Subject, report: Report) -> None:
    """The worker is killed with -9 when half of the emails are out."""
    wanted, killed = plan.customers * STEPS, list[float]()

    def at_half(count: int) -> None:
        if not killed and count >= wanted / 2:
            psutil.Process(subject.trial.pids()["worker"]).kill()
            killed.append(time.time())

    _, _, missing = _drain(subject, plan.customers, meanwhile=at_half)
    arrivals, copies = subject.provider.first_arrivals()
    gaps = sorted(arrivals.values())
    pause = max((after - before for before, after in itertools.pairwise(gaps)), default=0)
    report.add(
        Figure("worker killed half-way: lost", missing, "emails", fixed=True, target=0),
        Figure("worker killed half-way: twice", copies.total() - len(copies), "emails", fixed=True, target=0),
        Figure("worker killed half-way: longest silence", pause, "s", tolerance=1, slack=5, fixed=True, target=24),
    )
    if not killed:
        print("    all emails were out before the worker could be killed", flush=True)


def limit(plan: Plan, subject: Subject, report: Report) -> None:
    """Many due at once, the provider with a limit: the share of the limit that is used, and what it refuses."""
    for per_second in LIMITS:
        subject.provider.set(per_second=per_second)
        learn_rate(subject)
        learn_rate(subject)  # the first may have been refused: the limit was higher a moment ago
        subject.provider.set(per_second=per_second)
        due = time.time() + 3 + plan.due / 300
        subject.sign_up("once", [due] * plan.due)
        subject.provider.wait_for(plan.due, not_before=due, within=60 + plan.due / 100 / per_second * 3)
        arrivals, _ = subject.provider.first_arrivals()
        took, found = max(arrivals.values(), default=due) - due, subject.provider.count()
        between = max(arrivals.values(), default=due) - min(arrivals.values(), default=due)
        name = f"{plan.due:,} due, {per_second} requests/s"
        report.add(
            Figure(f"{name}: drained in", took, "s", slack=0.5, fixed=True),
            Figure(
                f"{name}: of the limit used",
                (found["requests"] - 1) / max(between, 0.001) / per_second * 100,
                "%",
                "more",
                target=98,
            ),
            Figure(f"{name}: requests", found["requests"], "", tolerance=0.1, slack=3, fixed=True),
            Figure(f"{name}: answered 429", found["refused"], "", fixed=True, target=0),
            Figure(f"{name}: lost", plan.due - len(arrivals), "emails", fixed=True, target=0),
        )


def wrong_addresses(plan: Plan, subject: Subject, report: Report) -> None:
    """Many due at once at the slowest limit, all addresses good, and then one in fifty refused."""
    del plan
    took = [_drain_good(subject, every) for every in (0, REFUSED_EVERY)]
    found, name = subject.provider.count(), f"{DUE:,} due, {LIMITS[0]} requests/s, 1 in {REFUSED_EVERY} refused"
    report.add(
        Figure(f"{name}: time, compared with none refused", took[1] / took[0], "times", fixed=True, target=1.2),
        Figure(f"{name}: refused", found["rejected"], "emails", fixed=True),
        Figure(f"{name}: refused ones that came again", found["asked_again"], "emails", fixed=True, target=0),
    )


def _drain_good(subject: Subject, refused_every: int) -> float:
    """How many seconds the good ones of many emails take that are due at once."""
    subject.provider.set(per_second=LIMITS[0])
    learn_rate(subject)
    subject.provider.set(per_second=LIMITS[0])
    due = time.time() + 3 + DUE / 300
    subject.sign_up("once", [due] * DUE, refused_every=refused_every)
    good = DUE - (-(-DUE // refused_every) if refused_every else 0)
    subject.provider.wait_for(good, not_before=due)
    arrivals, _ = subject.provider.first_arrivals()
    if len(arrivals) < good:
        raise RuntimeError(f"{good - len(arrivals)} of {good} emails did not come")
    return max(arrivals.values()) - due


def ledger(plan: Plan, directory: Path, report: Report) -> None:
    """Release among ever more scheduled steps, memory for one, and the console's pages on a full ledger."""
    with valkey.serve(directory / "large", password="made-up") as server:  # noqa: S106 - for this run
        redis = client(server)
        filler = size.Filler(redis, directory / "campaigns")
        scheduled, looked = 0, False
        for wanted in [number for number in SIZES if number <= plan.most]:
            redis.config_set("appendfsync", "everysec")  # filling is not what is measured
            more = (wanted - scheduled) // STEPS + 1
            if wanted == 10_000:
                each = size.bytes_per_step(filler, more)
                report.add(
                    Figure("Redis memory for a scheduled step", each, "bytes", tolerance=0.05, fixed=True, target=1024)
                )
            else:
                filler.fill("later", more, filler.now, partial(_show, "customers signed up", more))
            scheduled += more * STEPS
            redis.config_set("appendfsync", "always")
            rates = sorted(size.release_rate(filler) for _ in range(3))
            report.add(Figure(f"release of due jobs, {wanted:,} scheduled", rates[1], "/s", "more", target=50_000))
            if scheduled // STEPS >= CONSOLE_AT or (wanted == plan.most and not looked):
                looked = True
                pages = size.console_pages(server, filler, directory)
                slowest = max(pages, key=lambda page: pages[page])
                print("    " + ", ".join(f"{page} {took:.0f} ms" for page, took in pages.items()), flush=True)
                report.add(
                    Figure(
                        f"console's slowest page at {scheduled // STEPS:,} enrollments", pages[slowest], "ms", slack=20
                    )
                )


def _show(what: str, of: int, count: int) -> None:
    if sys.stdout.isatty() or count == of:
        print(f"\r    {count:,} of {of:,} {what}", end="\n" if count == of else "", flush=True)
