"""One chaos run: a stack with further replicas, a crowd, trouble, and the time that it takes until all is done."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from redis.exceptions import RedisError

from benchmarks.chaos.customers import Customer, World
from benchmarks.chaos.diary import Diary, Inbox
from benchmarks.chaos.judging import Verdict, judge, judge_notion, runs_of
from benchmarks.chaos.report import Report
from benchmarks.chaos.stories import Crowd
from benchmarks.chaos.trouble import Trouble
from local import stack
from local.supervisor import Part, Supervisor
from local.trial import Trial, environ_for, start
from shared.core import settings
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.sending.sender import OVERSLEPT

REPLICAS = {
    "scheduler-2": ["scheduler.release"],
    "worker-2": ["scheduler.worker", "send"],
    "worker-3": ["scheduler.worker", "send"],
}
VICTIMS = ("gateway", "valkey", "scheduler", "scheduler-2", "worker", "worker-2", "worker-3", "recorder", "notifier")
COMING, TROUBLED, REDIS_DIES = 0.45, 0.7, 0.25  # shares of the time
WIDTHS = 24  # a campaign's emails follow each other after this part of the time
RESEND_RATE = 10  # requests a second that the sandbox takes: while no batches go, every email is a request of its own
RECORDED_WITHIN = 120.0  # seconds
PATIENCE = 100.0  # seconds after the trouble that everything gets at least: a third attempt may be a minute away


@dataclass(frozen=True)
class Plan:
    """How large a run is.

    Attributes:
        customers: how many.
        seconds: how long it takes; a short one takes longer where the trouble has left emails to be tried again.
        seed: of all that happens by chance here; what the machine adds cannot be repeated.
        kill_every: seconds from kill to kill, at least and at most.
        fault_every: the same from one fault's end to the next, at each provider.
        fault_meets: requests that a fault meets at most.
        provider_timeout: seconds; the whole ladder of timeouts and leases derives from it.
    """

    customers: int
    seconds: float
    seed: int
    kill_every: tuple[float, float] = (2.5, 7)
    fault_every: tuple[float, float] = (0.3, 1.5)
    fault_meets: int = 4
    provider_timeout: float = 2

    @property
    def width(self) -> float:
        """Seconds between two emails of a campaign."""
        return self.seconds / WIDTHS


@contextmanager
def _replicas(trial: Trial, environ: dict[str, str]) -> Iterator[Callable[[], dict[str, int]]]:
    """Further processes beside the stack's own, under a supervisor of their own; yields what tells the processes of
    all."""
    directory = trial.directory / "replicas"
    parts = [Part(name, [sys.executable, "-m", *module], lambda: True, cwd=ROOT) for name, module in REPLICAS.items()]
    supervisor, ready = Supervisor([parts], directory, environ, lambda _: None), threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(ready.set,), daemon=True)
    thread.start()
    if not ready.wait(60):
        raise TimeoutError("the replicas did not start")

    def pids() -> dict[str, int]:
        more = json.loads((directory / "pids.json").read_text())
        return {**trial.pids(), **{name: more[name]["pid"] for name in REPLICAS}}

    try:
        yield pids
    finally:
        supervisor.ask_to_stop()
        thread.join(60)


def chaos(plan: Plan, directory: Path, keep: Path) -> Report:
    """Make a stack suffer.

    Args:
        plan: how large it is.
        directory: where the stack keeps its state.
        keep: where the diary and the logs go.
    """
    environ = environ_for(
        directory,
        TESTING_STEP=f"{plan.width:g}s",
        PROVIDER_TIMEOUT=f"{plan.provider_timeout:g}s",
        NOTION_RATE="1000",
        WEBSITE_WEBHOOK_SECRET="whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
    )
    with start(environ) as trial:
        chosen = stack.environment(stack.place(environ), environ)
        with _replicas(trial, chosen) as pids:
            report = _suffer(plan, trial, chosen, pids, keep)
    for logs in (directory / "logs", directory / "replicas" / "logs"):
        shutil.copytree(logs, keep / "logs", dirs_exist_ok=True)
    return report


def _suffer(
    plan: Plan, trial: Trial, environ: dict[str, str], pids: Callable[[], dict[str, int]], keep: Path
) -> Report:
    began, lease, wire = time.monotonic(), settings.load(environ).lease, OVERSLEPT + plan.provider_timeout
    trial.limit(resend=RESEND_RATE, notion=10_000)
    world = World(trial.url, environ, Diary(keep / "acknowledged.jsonl"), Inbox(trial.sandbox_url), plan.width)
    world.inbox.start()
    trouble = Trouble(
        trial.sandbox_url,
        pids,
        VICTIMS,
        redis_dies_for=plan.seconds * REDIS_DIES,
        start_sending=lambda: _start_sending(world),
        pause=plan.kill_every,
        between_faults=plan.fault_every,
        meets=plan.fault_meets,
        fill=lambda full: trial.redis().config_set("maxmemory", "1" if full else "0"),
        lease=lease,
        seed=plan.seed,
    )
    crowd = Crowd(world, plan.customers, plan.seconds * COMING, plan.seed)
    trouble.start()
    crowd.come()
    time.sleep(max(0.0, began + plan.seconds * TROUBLED - time.monotonic()))
    trouble.stop()
    verdict = _until_done(trial, world, crowd, wire, max(began + plan.seconds, time.monotonic() + PATIENCE))
    took = time.monotonic() - began
    time.sleep(lease)  # for what might still come twice
    recorded = _until_recorded(trial)
    world.inbox.look()
    verdict = judge(world.diary.entries(), world.inbox.emails, trial.ledger().enrollment, wire)
    runs = runs_of(world.diary.entries())
    rows = trial.notion()
    troubles = crowd.troubles + trouble.broken
    troubles += [] if recorded else ["Notion was not told everything"]
    troubles += _failed_without_cause(trial)
    return Report(
        facts={
            "customers, runs": f"{plan.customers}, {len(runs)}",
            "seconds of trouble, until the last email": f"{plan.seconds * TROUBLED:.0f}, {took:.0f}",
            "between two emails": f"{plan.width:g} s",
            "provider's timeout, lease": f"{plan.provider_timeout:g} s, {lease:g} s",
        },
        verdict=verdict,
        notion=judge_notion(rows, world.inbox.emails, trial.ledger().enrollment, runs),
        notion_rows={name: len(rows[name]) for name in ("Contacts", "Email Sequence", "Email Log")},
        kills=trouble.kills,
        suspended=trouble.suspended,
        fills=trouble.fills,
        faults=trouble.faults,
        troubles=troubles,
    )


def _failed_without_cause(trial: Trial) -> list[str]:
    """What is on RQ's failed list although it needs no attention."""
    jobs = (ids.parse_job_id(job) for job in cast(list[str], trial.redis().zrange(ids.FAILED, 0, -1)))
    states = {ids.email_id(*step): trial.ledger().peek(*step).state for step in jobs}
    return [
        f"RQ's failed list holds {name}, which is {state}"
        for name, state in states.items()
        if state not in ("failed", "in-doubt")
    ]


def _start_sending(world: World) -> None:
    """What the owner does once the quota is raised."""
    Customer.operator_of(world).post(f"{world.url}/console/api/sending/start", b"", world.operator)


def _until_done(trial: Trial, world: World, crowd: Crowd, wire: float, deadline: float) -> Verdict:
    """Wait until every story is over and every email is there; returns what is known then."""
    while True:
        _start_sending(world)  # at each look: an answer that was under way when the trouble ended may stop it once more
        try:
            verdict = judge(world.diary.entries(), list(world.inbox.emails), trial.ledger().enrollment, wire)
            if not crowd.busy and not verdict.pending and not trial.redis().zcard(ids.OPEN):
                return verdict
        except RedisError:
            verdict = Verdict()
        if not crowd.busy and time.monotonic() > deadline:
            return verdict
        time.sleep(1)


def _until_recorded(trial: Trial) -> bool:
    """Wait until Notion has everything; returns whether it does."""
    deadline = time.monotonic() + RECORDED_WITHIN
    while trial.redis().zcard(ids.OUTBOX):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
