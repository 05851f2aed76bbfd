"""A ledger that an earlier release filled works under this one: no key, field or stored name may change.

`data/release-a6aa893.json` is what the whole stack of commit a6aa893 left in Valkey when it was stopped in the middle
of five sequences. Its head says how it was made, and it names what the provider had accepted by then. The key that
signed the unsubscribe links in it does not exist any more.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from scheduler.rq_schedule import Job
from shared import services
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.migrations import migrate, waiting
from shared.ledger.version import VERSION
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider
from tests.support.world import World

LEFT: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "release-a6aa893.json").read_text(encoding="utf-8"))
PEOPLE = ("mary", "ada", "grace", "katherine", "annie")
RUNS = [f"{ids.enrollment_prefix('christmas', f'{name}@example.org')}-1" for name in PEOPLE]
MARY, ADA, GRACE, KATHERINE, ANNIE = RUNS
TAKEN: dict[str, dict[str, Any]] = {taken["email_id"]: taken for taken in LEFT["accepted"]}
LOST = ids.email_id(KATHERINE, 3)  # accepted, and its answer never came
FROZEN: str = LEFT["keys"][f"eg:frozen:{LOST}"]["value"]["body"]
HELD_UNTIL = int(LEFT["keys"]["eg:hold:resend"]["value"])
SEVEN = list(range(1, 8))


class KnowingProvider(MemoryProvider):
    """A provider that has taken what the release before sent, and notes what it is asked.

    Attributes:
        asked: when each request came, its idempotency key and its text.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked: list[tuple[int, str, str]] = []
        for key, taken in TAKEN.items():
            email = json.loads(FROZEN) if key == LOST else {"tags": [{"name": "email_id", "value": key}]}
            self.accepted.append(email)
            self._known[key] = (taken["at"], ([email], False), {"data": [{"id": taken["id"]}]})

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Take one email, or answer as before."""
        self.asked.append((self.clock(), key, json.dumps(email)))
        return super().send(email, key=key)

    def steps_of(self, run: str) -> list[int]:
        """Which emails of a run it has taken, in the order in which they came."""
        return [step for enrollment, step in map(ids.parse_email_id, self.email_ids) if enrollment == run]


def fill(redis: Redis) -> None:
    """Put every key back as it was; Redis itself was not started again, so the fence knows this start of it."""
    for key, left in LEFT["keys"].items():
        match left["type"]:
            case "string":
                redis.set(key, left["value"])
            case "hash":
                redis.hset(key, mapping=left["value"])
            case "set":
                redis.sadd(key, *left["value"])
            case "zset":
                redis.zadd(key, dict(left["value"]))
            case kind:
                raise AssertionError(f"{key} is a {kind}, which this test cannot put back")
        if left["pttl"] >= 0:
            redis.pexpire(key, left["pttl"])
    redis.hset(ids.FENCE, "server", redis.info("server")["run_id"])


@pytest.fixture
def provider(world: World) -> KnowingProvider:
    """What the provider knows when this release takes over the ledger, at the instant at which it was left."""
    world.clock.now = LEFT["at"]
    fill(world.redis)
    world.provider = provider = KnowingProvider(world.clock)
    world.sender = dataclasses.replace(world.sender, provider=provider)
    return provider


def live(world: World, seconds: int) -> None:
    """Let time pass, and each second do what scheduler and worker do."""
    suspects: set[str] = set()
    for _ in range(seconds):
        world.clock.advance(seconds=1)
        world.work()
        suspects, _woken = world.ledger.sweep(suspects)
        world.work()


def test_the_previous_releases_ledger_is_read(world: World, provider: KnowingProvider) -> None:
    """The five are where that release left them, each at another point."""
    world.ledger.check_version()
    assert {run: provider.steps_of(run) for run in RUNS} == {
        MARY: [1, 2, 3, 4],
        ADA: [1, 2, 3],
        GRACE: [1, 2],
        KATHERINE: [1, 2, 3],
        ANNIE: [1, 2],
    }
    assert [world.states(run).count("sent") for run in RUNS] == [4, 3, 2, 2, 2]
    assert [world.run(run).state for run in RUNS] == ["active", "active", "paused", "active", "active"]
    lost = world.run(KATHERINE).step(3)
    assert (lost.state, lost.ambiguous, lost.attempts, lost.frozen) == ("sending", True, 2, LOST)
    refused = world.run(ANNIE).step(3)
    assert (refused.state, refused.ambiguous, refused.attempts, refused.frozen) == ("scheduled", False, 0, None)
    assert "429" in str(refused.why) and refused.next == HELD_UNTIL


@pytest.mark.parametrize("marked", [True, False])
def test_it_has_this_version_and_needs_no_migration(
    world: World, provider: KnowingProvider, actions: EnrollmentActions, marked: bool
) -> None:
    """Also where it had no mark, which the first tick adds; everything continues."""
    if not marked:
        world.redis.delete(ids.VERSION)
    assert (world.ledger.version(), waiting(world.ledger)) == (VERSION, []) == (1, [])
    live(world, 20)
    assert world.redis.get(ids.VERSION) == "1"
    assert (list(migrate(world.ledger)), world.ledger.version()) == ([], 1)
    actions.resume(GRACE)
    live(world, 200)
    assert [provider.steps_of(run) for run in RUNS] == [SEVEN] * 5
    assert provider.twice == []


def test_sequences_of_the_previous_release_finish_all_seven_emails(
    world: World,
    provider: KnowingProvider,
    actions: EnrollmentActions,
) -> None:
    """Each of the five gets the rest of its seven emails in order and none twice; nothing is left to do."""
    live(world, 5)
    paused = world.run(GRACE)
    assert paused.paused_at is not None
    assert actions.resume(GRACE) == "active"
    assert world.run(GRACE).anchor == paused.anchor + world.clock() - paused.paused_at
    live(world, 200)

    assert [world.run(run).state for run in RUNS] == ["completed"] * 5
    assert [world.states(run) for run in RUNS] == [["sent"] * 7] * 5
    assert [provider.steps_of(run) for run in RUNS] == [SEVEN] * 5
    assert provider.twice == []
    assert world.redis.hgetall("eg:tally:christmas") == {"enrolled": "5", **{f"{step}.sent": "5" for step in SEVEN}}

    assert [text for _, key, text in provider.asked if key == LOST] == [FROZEN]
    assert world.run(KATHERINE).step(3).provider_id == TAKEN[LOST]["id"]
    assert len(provider.asked) == 5 * 7 - len(TAKEN) + 1  # each of the rest once, and the one whose answer was lost
    assert min(at for at, _, _ in provider.asked) > HELD_UNTIL - 1000  # the last second runs by another clock

    assert world.release() == 0
    assert world.ledger.sweep(set()) == (set(), 0)
    assert [world.redis.zcard(ids.OPEN), world.redis.zcard(ids.SCHEDULED), world.redis.llen(ids.QUEUE)] == [0, 0, 0]
    assert world.redis.keys("eg:frozen:*") + world.redis.keys("rq:job:christmas-*") == []


def test_a_sign_up_from_the_previous_release_is_not_enrolled_again(world: World, provider: KnowingProvider) -> None:
    """The same form posted once more, in the middle or after the end, begins no second sequence."""
    for _ in range(2):
        world.sign_up(email="ada@example.org")
        live(world, 200)
        assert world.run(ADA).state == "completed"
        assert provider.steps_of(ADA) == SEVEN
        assert world.redis.smembers(f"eg:enrollments:{ids.digest('ada@example.org')}") == {ADA}
        assert world.ledger.enrollment(f"{ADA.removesuffix('-1')}-2") is None


def test_jobs_of_the_previous_release_still_run(
    world: World,
    provider: KnowingProvider,
    raw: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job of each entry on the schedule names a function that this release has and can call as stored."""
    looks: list[int] = []

    def ledger() -> Ledger:
        looks.append(world.clock())
        return world.ledger

    monkeypatch.setattr(services, "ledger", ledger)
    entries = [str(entry) for entry in world.redis.zrange(ids.SCHEDULED, 0, -1)]
    stored = {key.removeprefix("rq:job:") for key in LEFT["keys"] if key.startswith("rq:job:")}
    assert set(entries) == stored != set()
    for entry in entries:
        job = Job.fetch(entry, connection=raw)
        assert job.func_name == "scheduler.jobs.send_step"
        assert tuple(job.args) == ids.parse_job_id(entry)
        assert job.func is not None
        inspect.signature(job.func).bind(*job.args, **job.kwargs)
        job.perform()  # no step is due yet, so it only looks at the ledger
    assert len(looks) == len(entries)
