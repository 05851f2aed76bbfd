"""How long Evergreen keeps its data: after 90 days a finished run leaves only what must stay, and each key has its own
expiry.

A test's clock cannot let a key of Redis expire, so the time to live of every key is read, and held against the table
below.
"""

from __future__ import annotations

import re
from typing import Any, cast

from redis import Redis
from rq import Queue

from local import valkey
from scheduler.rq_schedule import Job
from scheduler.worker import Worker
from shared.core.errors import SendError
from shared.domain.forms import MeetingEvent
from shared.intake import meetings
from shared.intake.delivery_events import receive
from shared.intake.meetings import KEEP
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.outbox import Outbox
from tests.support.steered import complete_without
from tests.support.world import ADA, World

DAY = 24 * 3_600_000
MINUTE = 60_000
CONTACT = ids.digest(str(ADA["email"]))
EXPIRING = {  # what expires by itself, and the longest that it may stay, in milliseconds
    r"eg:enrollment:.+-[1-9]\d*": 90 * DAY,  # a finished run
    r"eg:enrollments:[0-9a-f]{20}": 90 * DAY,  # which runs a person had
    r"eg:exits:[0-9a-f]{20}": 90 * DAY,  # that a person booked, or became a client
    r"eg:frozen:.+": DAY,  # the request to the provider
    r"eg:seen:[0-9a-f]{20}": 7 * DAY,  # an Idempotency-Key (a day), a calendar's or a provider's event (seven)
    r"eg:meeting:[0-9a-f]{20}": 31 * DAY,  # until 30 days after it; here it is tomorrow
    r"eg:alert:.+": 7 * DAY,
    r"eg:turns:.+": MINUTE,
    r"eg:hold:.+": 2 * MINUTE,
}
STAYING = {  # what stays, because it must
    r"eg:runs": "which campaigns somebody had, by digest: so that nobody gets them twice",
    r"eg:contact:[0-9a-f]{20}": "the person, until forgotten",
    r"eg:consents:[0-9a-f]{20}": "what the person agreed to, until forgotten",
    r"eg:suppressed": "who wants no email, by digest",
    r"eg:tally:.+|eg:lateness|eg:counts": "counters",
    r"eg:recent|eg:of:.+|eg:in:.+": "lists, which the sweeper takes runs off that are gone",
    r"eg:doubts": "what is in doubt, by the run's id; the sweeper takes off what is not any more",
    r"eg:open|eg:outbox.*|eg:notices.*|eg:jobs|eg:tick": "the work at hand",
    r"eg:version|eg:rate:.+|eg:heard:.+|eg:gate|eg:fence": "how things stand",
    r"rq:.+": "RQ's own",
}


def record_everything(world: World) -> None:
    """What the recorder does when Notion answers."""
    outbox = Outbox(world.ledger)
    while entry := outbox.take():
        outbox.recorded(entry)


def ttl(world: World, key: str) -> int | None:
    """Milliseconds that a key has left; None where it stays."""
    left = int(cast(Any, world.redis.pttl(key)))
    return None if left == -1 else left


def matching(rules: dict[str, Any], key: str) -> Any:
    """The rule for a key, or None."""
    return next((value for rule, value in rules.items() if re.fullmatch(rule, key)), None)


def everything(redis: Redis, key: str) -> str:
    """All that a key holds, as text."""
    read = {"string": redis.get, "hash": redis.hgetall, "set": redis.smembers}
    kind = cast(str, redis.type(key))
    return str(
        read[kind](key) if kind in read else redis.lrange(key, 0, -1) if kind == "list" else redis.zrange(key, 0, -1)
    )


def meeting(world: World) -> None:
    """A meeting is booked for tomorrow, and cancelled."""
    email = {"email": "booker@example.org"}
    for what, at in (("booked", 0), ("cancelled", 1)):
        # of two literals
        event = MeetingEvent(what, f"key-{what}", "uid-1", world.clock.now + at, world.clock.now + DAY, contact=email)  # type: ignore[arg-type]
        meetings.report(event, trigger="calcom-booking", intake=world.intake)


def a_life(world: World) -> str:
    """A run with a failed step that ends, another person's in doubt, an unsubscribe, a meeting, an event, a hold;
    everything is recorded."""
    run = world.sign_up()
    world.work()
    world.ledger.hold("notion", 60)
    complete_without(world, run, 2)
    world.provider.faults.append(SendError("conflict", "another body"))
    world.sign_up(email="doubt@example.org")
    world.work()
    meeting(world)
    world.sign_up(email="gone@example.org")
    world.work()
    world.ledger.suppress(ids.digest("gone@example.org"), "unsubscribed")
    receive(
        DeliveryEvent("msg-1", "delivered", at=world.clock.now, address="ada@example.org", email_id=f"{run}-1"),
        world.ledger,
    )
    world.ledger.suppress(ids.digest("doubt@example.org"), "complained")
    record_everything(world)
    return run


def test_every_key_expires_or_has_a_reason_to_stay(world: World) -> None:
    """After a finished life no key is without a rule, none that must go is without its end, and none ends too late."""
    a_life(world)
    for key in world.redis.scan_iter():
        longest, left = matching(EXPIRING, key), ttl(world, key)
        if longest is None:
            assert matching(STAYING, key), f"no rule says how long {key} is kept"
        else:
            assert left is not None, f"{key} has no end"
            assert left <= longest, key


def test_every_expiry_rule_is_needed(world: World) -> None:
    """Each key that must expire exists in this test."""
    a_life(world)
    assert {rule for rule in EXPIRING for key in world.redis.scan_iter() if re.fullmatch(rule, key)} == set(EXPIRING)


def test_a_finished_run_leaves_only_its_mark_and_the_contact(world: World) -> None:
    """When all that ends has ended, nothing but the mark, the person and the counters speaks of the run."""
    a_life(world)
    for key in list(world.redis.scan_iter()):
        if ttl(world, key) is not None:
            world.redis.delete(key)
    world.redis.delete(ids.NOTICES, ids.LEADS, "eg:notices:versions")  # the owner got it
    for _ in range(100):  # the lists are cleaned a few runs at a time
        world.ledger.sweep(set())
    assert {key for key in world.redis.scan_iter() if CONTACT in key or CONTACT in everything(world.redis, key)} == {
        "eg:runs",
        f"eg:contact:{CONTACT}",
    }
    assert world.redis.hget("eg:runs", ids.enrollment_prefix("christmas", str(ADA["email"]))) == "1"


def test_ninety_days_start_when_the_end_is_recorded(world: World) -> None:
    """Notion may be unavailable for long: nothing is forgotten before it is recorded there."""
    run = world.sign_up()
    world.live(300)
    for key in (ids.enrollment_key(run), f"eg:enrollments:{CONTACT}"):
        world.redis.pexpire(key, DAY)  # as if 89 days had passed
    record_everything(world)
    for key in (ids.enrollment_key(run), f"eg:enrollments:{CONTACT}"):
        assert 90 * DAY - MINUTE < (ttl(world, key) or 0) <= 90 * DAY


def test_the_list_of_runs_stays_while_one_is_active(world: World) -> None:
    """A suppression must find a later run, and a reopened one, after 90 days, too."""
    runs = f"eg:enrollments:{CONTACT}"
    run = world.sign_up()
    assert ttl(world, runs) is None
    world.work()
    complete_without(world, run, 2)
    assert ttl(world, runs) is not None
    world.ledger.retry(run, 2)
    assert (world.run(run).state, ttl(world, runs)) == ("active", None)
    assert world.ledger.suppress(CONTACT, "complained") == 1
    assert ttl(world, runs) is not None


def test_expired_runs_leave_the_list(world: World) -> None:
    """A run that is no longer kept is not listed once another ends."""
    world.redis.sadd(f"eg:enrollments:{CONTACT}", "christmas-00000000000000000000-9")
    run = world.sign_up()
    world.live(300)
    assert world.redis.smembers(f"eg:enrollments:{CONTACT}") == {run}


def test_an_idempotency_key_is_kept_for_a_day_and_an_event_for_seven(world: World) -> None:
    """As long as their senders repeat themselves."""
    receive(DeliveryEvent("msg-1", "opened", at=world.clock.now, address="ada@example.org"), world.ledger)
    (event,) = world.redis.scan_iter("eg:seen:*")
    assert 7 * DAY - MINUTE < (ttl(world, event) or 0) <= 7 * DAY
    world.redis.flushall()
    meeting(world)
    assert {round((ttl(world, key) or 0) / DAY) for key in world.redis.scan_iter("eg:seen:*")} == {7}
    (meetings_key,) = world.redis.scan_iter("eg:meeting:*")
    assert KEEP + DAY - MINUTE < (ttl(world, meetings_key) or 0) <= KEEP + DAY


def test_a_failed_job_is_kept_as_long_as_its_run(world: World, redis: Redis) -> None:
    """RQ would keep it, with its traceback, for a year."""
    world.sign_up()
    for key in redis.scan_iter("rq:job:*"):
        assert redis.hget(key, "failure_ttl") == str(90 * DAY // 1000)


def test_a_worker_removes_expired_failures(valkey_server: valkey.Valkey, redis: Redis) -> None:
    """The list of what needs attention does not grow forever."""
    redis.zadd(
        "rq:failed:send", {"christmas-00000000000000000000-1-1-1": 1, "christmas-00000000000000000000-1-1-2": 2e12}
    )
    with Redis.from_url(valkey_server.url, password=valkey_server.password) as raw:
        Worker([Queue("send", connection=raw, job_class=Job)], connection=raw, job_class=Job).clean_registries()
    assert redis.zrange("rq:failed:send", 0, -1) == ["christmas-00000000000000000000-1-1-2"]
