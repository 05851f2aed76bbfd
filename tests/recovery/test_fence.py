"""The fence: two copies of one ledger on real Valkeys, one Notion between them, and a fake clock."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from local import valkey
from shared.core.errors import NotionError, SendError
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.claims import Claimed
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.recovery.fence import OTHER, UNKNOWN, Fence
from tests.conftest import Clock
from tests.support import patience
from tests.support.batches import batching, crowd, last_first
from tests.support.refusing import Refuse
from tests.support.sandbox_server import Sandbox
from tests.support.world import SETTINGS, World


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[valkey.Valkey]:
    """A second Valkey."""
    directory: Path = tmp_path_factory.mktemp("other")
    with valkey.serve(directory, 0, secrets.token_hex(8), fsync="everysec") as server:
        yield server


@pytest.fixture
def other(other_server: valkey.Valkey) -> Iterator[Redis]:
    with Redis.from_url(other_server.url, password=other_server.password, decode_responses=True) as client:
        client.flushall()
        yield client


class Copy:
    """One ledger with its fence and its sender."""

    def __init__(self, redis: Redis, clock: Clock, box: Sandbox, made: dict[str, Any]) -> None:
        self.redis, self.box, self.clock = redis, box, clock
        databases = {"notion_token": "ntn_sandbox", "notion_email_sequence_db_id": made["tracker"]["database_id"]}
        self.world = World(Ledger(redis, clock=clock, durable=True), clock, SETTINGS.model_copy(update=databases))
        self.fence = Fence(self.world.ledger, self.world.settings, patience.notion(box), sleep=lambda _: None)

    def sends(self) -> bool:
        """Whether an email goes out now."""
        before = len(self.world.provider.accepted)
        self.world.sign_up(email=f"person{secrets.token_hex(4)}@example.org")
        self.clock.advance(seconds=5)
        self.world.work()
        return len(self.world.provider.accepted) > before

    def why(self) -> str:
        """What health says about it."""
        return str(read_health(self.world.ledger).fence)

    def restarts(self) -> None:
        """As after a restart of Redis, whose run id is another one then."""
        self.redis.hset(ids.FENCE, "server", "of-the-time-before")


@pytest.fixture
def made(box: Sandbox) -> dict[str, Any]:
    return box.seed("evergreen")


@pytest.fixture
def one(redis: Redis, clock: Clock, box: Sandbox, made: dict[str, Any]) -> Copy:
    return Copy(redis, clock, box, made)


@pytest.fixture
def two(other: Redis, clock: Clock, box: Sandbox, made: dict[str, Any]) -> Copy:
    return Copy(other, clock, box, made)


def test_nothing_is_sent_before_the_first_answer(one: Copy) -> None:
    """A new ledger waits for Notion, and no longer."""
    assert not one.sends()
    one.fence.poll()
    assert one.sends()
    assert one.why() == "None"


def test_a_redis_restart_is_confirmed_again(one: Copy) -> None:
    """A copy of a backup looks the same."""
    one.fence.poll()
    one.restarts()
    assert not one.sends()
    assert "waiting" in one.why()
    one.fence.poll()
    assert one.sends()


def test_two_copies_of_one_backup(one: Copy, two: Copy) -> None:
    """The first to answer goes on; the other says why not, also after its minute."""
    one.fence.poll()
    two.redis.hset(ids.FENCE, mapping=one.redis.hgetall(ids.FENCE))  # type: ignore[arg-type]
    two.fence.poll()  # the copy comes first
    assert two.sends()
    one.clock.advance(seconds=61)
    one.fence.poll()
    assert (one.sends(), one.why()) == (False, OTHER)
    one.clock.advance(seconds=61)
    one.fence.poll()
    two.fence.poll()
    assert (one.sends(), two.sends()) == (False, True)
    assert one.redis.zscore("eg:notices", "alert:fence") is not None


def test_a_fenced_copy_can_take_over_from_the_other(one: Copy, two: Copy) -> None:
    """The copy that was fenced off claims the lease, and then the other stops."""
    one.fence.poll()
    two.redis.hset(ids.FENCE, mapping=one.redis.hgetall(ids.FENCE))  # type: ignore[arg-type]
    two.fence.poll()
    one.clock.advance(seconds=61)
    one.fence.poll()
    one.fence.claim()
    assert one.sends()
    one.clock.advance(seconds=61)
    two.fence.poll()
    assert two.why() == OTHER


class ReadEarlier:
    """Notion for a copy that has read the tracker a moment ago, before what it finds there now was written."""

    def __init__(self, notion: Any, database: str) -> None:
        self._notion, self._early = notion, [notion.database(database)]

    def database(self, database: str) -> Any:
        """The tracker as it was, once; then as it is."""
        return self._early.pop() if self._early else self._notion.database(database)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notion, name)


@pytest.mark.parametrize("of_a_backup", [False, True])
def test_only_one_of_two_copies_that_start_at_once_continues(one: Copy, two: Copy, of_a_backup: bool) -> None:
    """Both have read the tracker before either wrote, new or with a backup's word: whose word was overwritten sees it,
    and stops."""
    if of_a_backup:
        one.fence.poll()
        two.redis.hset(ids.FENCE, mapping=one.redis.hgetall(ids.FENCE))  # type: ignore[arg-type]
        one.restarts()
        two.restarts()
    two.fence.notion = ReadEarlier(two.fence.notion, two.world.settings.notion_email_sequence_db_id)  # type: ignore[assignment]
    one.fence.sleep = lambda _: two.fence.poll()
    one.fence.poll()
    assert (one.sends(), one.why()) == (False, OTHER)
    assert two.sends()
    one.clock.advance(seconds=61)
    one.fence.sleep = lambda _: None
    one.fence.poll()
    two.fence.poll()
    assert (one.sends(), two.sends()) == (False, True)


def test_two_replicas_that_start_at_once_are_one_copy(one: Copy) -> None:
    """Two schedulers beside the same Redis write over each other's word, and neither stops it."""
    beside = Copy(
        one.redis, one.clock, one.box, {"tracker": {"database_id": one.world.settings.notion_email_sequence_db_id}}
    )
    beside.fence.notion = ReadEarlier(beside.fence.notion, one.world.settings.notion_email_sequence_db_id)  # type: ignore[assignment]
    one.fence.sleep = lambda _: beside.fence.poll()
    one.fence.poll()
    assert one.sends()
    one.clock.advance(seconds=61)
    beside.fence.poll()
    one.fence.poll()
    assert (one.sends(), one.why()) == (True, "None")


@pytest.mark.parametrize("then", ["its word goes", "our word comes back", "Redis starts again"])
def test_a_fenced_copy_stays_fenced_until_a_person_decides(one: Copy, two: Copy, then: str) -> None:
    """It is unknown what the other has sent: even if it is gone, or seems to be, nothing starts."""
    one.fence.poll()
    database = f"/databases/{one.world.settings.notion_email_sequence_db_id}"
    ours = one.box.notion("GET", database).json()["description"]
    two.redis.hset(ids.FENCE, mapping=one.redis.hgetall(ids.FENCE))  # type: ignore[arg-type]
    two.fence.poll()
    two.clock.advance(seconds=61)
    two.fence.poll()
    one.fence.poll()
    assert one.why() == OTHER
    match then:
        case "its word goes":
            one.box.notion("PATCH", database, json={"description": []}).raise_for_status()
        case "our word comes back":
            text = [{"type": "text", "text": {"content": part["plain_text"]}} for part in ours]
            one.box.notion("PATCH", database, json={"description": text}).raise_for_status()
        case "Redis starts again":
            one.restarts()
    for _ in range(3):
        one.clock.advance(seconds=61)
        one.fence.poll()
        assert (one.sends(), one.why()) == (False, OTHER)
    one.fence.claim()
    assert one.sends()


def test_an_empty_redis_waits_until_a_person_decides(one: Copy) -> None:
    """Even if the rows that it does not know are removed: the emails behind them may have been sent."""
    parent = {
        "data_source_id": next(iter(one.fence.notion.data_sources(one.world.settings.notion_email_sequence_db_id)))
    }
    properties = {"Name": {"title": [{"text": {"content": "Someone"}}]}}
    row = one.box.notion("POST", "/pages", json={"parent": parent, "properties": properties}).json()["id"]
    one.fence.poll()
    assert one.why() == UNKNOWN
    one.box.notion("PATCH", f"/pages/{row}", json={"in_trash": True}).raise_for_status()
    one.clock.advance(seconds=61)
    one.fence.poll()
    assert (one.sends(), one.why()) == (False, UNKNOWN)


def test_a_copy_that_took_over_holds_the_lease_like_any_other(one: Copy, two: Copy) -> None:
    """Its word is renewed, and a restart of its Redis is confirmed."""
    two.fence.poll()
    one.fence.poll()
    assert one.why() == OTHER
    one.fence.claim()
    word = one.redis.hget(ids.FENCE, "confirmed")
    one.clock.advance(seconds=61)
    one.fence.poll()
    assert one.redis.hget(ids.FENCE, "confirmed") != word
    one.restarts()
    one.fence.poll()
    assert one.sends()


def test_an_empty_redis_waits_when_the_tracker_has_rows(one: Copy, two: Copy) -> None:
    """It cannot know what was already sent; a person decides."""
    properties = {"Name": {"title": [{"text": {"content": "Someone"}}]}}
    parent = {"data_source_id": one.box.seed("evergreen")["tracker"]["data_source_id"]}
    one.box.notion("POST", "/pages", json={"parent": parent, "properties": properties}).raise_for_status()
    fresh = Copy(one.redis, one.clock, one.box, {"tracker": {"database_id": parent["data_source_id"]}})
    fresh.fence.poll()
    assert (fresh.sends(), fresh.why()) == (False, UNKNOWN)
    fresh.fence.claim()
    assert fresh.sends()


def test_an_empty_redis_waits_while_another_copy_sends(one: Copy, two: Copy) -> None:
    """A word that was never ours belongs to another copy."""
    one.fence.poll()
    two.fence.poll()
    assert (two.sends(), two.why()) == (False, OTHER)


def test_the_holder_continues_after_a_restart_without_notion(one: Copy) -> None:
    """A ledger that was at work less than five minutes ago is not kept from it by Notion."""
    one.fence.poll()
    one.box.fault("disconnect", provider="notion", count=100)
    one.clock.advance(seconds=240)
    one.restarts()
    with pytest.raises(NotionError):
        one.fence.poll()
    assert one.sends()


def test_an_old_backup_waits_while_notion_is_unavailable(one: Copy) -> None:
    """After more than five minutes another copy may have taken over."""
    one.fence.poll()
    one.box.fault("disconnect", provider="notion")
    one.clock.advance(seconds=301)
    one.restarts()
    with pytest.raises(NotionError):
        one.fence.poll()
    assert not one.sends()
    assert "confirmed" in one.why()
    one.fence.poll()  # Notion is back
    assert one.sends()


def test_a_running_holder_tolerates_hours_without_notion(one: Copy) -> None:
    """Hours without Notion stop nothing, nor does a restart after them."""
    one.fence.poll()
    one.box.fault("disconnect", provider="notion", count=1000)
    for _ in range(20):
        one.clock.advance(seconds=120)
        with pytest.raises(NotionError):
            one.fence.poll()
        assert one.sends()
    one.restarts()
    with pytest.raises(NotionError):
        one.fence.poll()
    assert one.sends()


@pytest.mark.parametrize("fault", ["commit-then-503", "timeout-after"])
def test_the_lease_is_kept_when_notions_answer_is_lost(one: Copy, fault: str) -> None:
    """The pending word and the confirmed one both count as our own."""
    one.fence.poll()
    one.clock.advance(seconds=61)
    one.box.fault(fault, provider="notion")
    with pytest.raises(NotionError):
        one.fence.poll()
    one.fence.poll()
    assert one.sends()


class Describing:
    """Notion for a copy whose Redis or network gives out around its next word."""

    def __init__(self, notion: Any) -> None:
        self._notion = notion
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def describe(self, *asked: Any) -> None:
        """As Notion does, between the two."""
        self.before()
        self._notion.describe(*asked)
        self.after()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notion, name)


@pytest.mark.parametrize("when", ["at its first start", "at a later start", "each minute", "at a take-over"])
def test_the_lease_is_kept_when_redis_cannot_store_it(one: Copy, two: Copy, refuse: Refuse, when: str) -> None:
    """Notion has the new word, and Redis could not write down that it does: no other copy is at work, and sending goes
    on. A full Redis can: the fence's script may write there."""
    if when != "at its first start":
        one.fence.poll()
    match when:
        case "at a later start":
            one.restarts()
        case "at a take-over":
            one.world.sign_up()
            two.fence.claim()
    one.clock.advance(seconds=61)
    describing = Describing(one.fence.notion)
    one.fence.notion = describing  # type: ignore[assignment]
    describing.after = lambda: refuse(True)
    with suppress(RedisError):
        one.fence.claim() if when == "at a take-over" else one.fence.poll()
    refuse(False)
    describing.after = lambda: None
    one.fence.claim() if when == "at a take-over" else one.fence.poll()
    assert (one.sends(), one.why()) == (True, "None")
    assert one.redis.hexists(ids.FENCE, "taken_over") == (when == "at a take-over")


def test_the_lease_is_kept_after_two_failed_renewals_in_a_row(one: Copy) -> None:
    """The first word reached Notion and its answer did not come back; the next one never got there: the first is still
    ours."""
    one.fence.poll()
    describing = Describing(one.fence.notion)
    one.fence.notion = describing  # type: ignore[assignment]

    def away() -> None:
        raise NotionError("busy", "Notion is away")

    for name in ("after", "before"):
        setattr(describing, name, away)
        one.clock.advance(seconds=61)
        with pytest.raises(NotionError):
            one.fence.poll()
        setattr(describing, name, lambda: None)
    one.clock.advance(seconds=61)
    one.fence.poll()
    assert (one.sends(), one.why()) == (True, "None")


def test_the_owner_gets_the_alert_even_if_redis_first_refuses_it(
    one: Copy, two: Copy, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner gets the alert about what stops sending, however many tries it takes; and nothing is sent meanwhile. A
    full Redis takes it at once."""
    one.fence.poll()
    two.fence.claim()
    one.clock.advance(seconds=61)
    one.redis.delete("eg:alert:fence")
    report = Alerts.report

    def refused(alerts: Alerts, cause: str, detail: str) -> None:
        refuse(True)
        report(alerts, cause, detail)

    with monkeypatch.context() as patch, suppress(RedisError):
        patch.setattr(Alerts, "report", refused)
        one.fence.poll()
    refuse(False)
    one.fence.poll()
    assert one.redis.hget("eg:alert:fence", "count") == "1"
    assert (one.sends(), one.why()) == (False, OTHER)


def test_the_owners_own_description_stays(one: Copy, made: dict[str, Any]) -> None:
    """The word stands behind what the owner wrote, and only it changes."""
    database = f"/databases/{made['tracker']['database_id']}"
    one.box.notion(
        "PATCH", database, json={"description": [{"type": "text", "text": {"content": "Our sequences"}}]}
    ).raise_for_status()
    for _ in range(2):
        one.fence.poll()
        one.clock.advance(seconds=61)
    text = "".join(part["plain_text"] for part in one.box.notion("GET", database).json()["description"])
    assert text.startswith("Our sequences (fence: ") and text.count("fence") == 1


def test_a_lost_redis_asks_for_a_restore(one: Copy, two: Copy) -> None:
    """Beside a tracker with rows, and a word that no copy holds any longer, the fix is to restore, not to take over."""
    one.fence.poll()
    run = one.world.sign_up()
    parent = {
        "data_source_id": next(iter(one.fence.notion.data_sources(one.world.settings.notion_email_sequence_db_id)))
    }
    properties = {
        "Name": {"title": [{"text": {"content": "Ada"}}]},
        "Enrollment ID": {"rich_text": [{"text": {"content": run}}]},
    }
    one.box.notion("POST", "/pages", json={"parent": parent, "properties": properties}).raise_for_status()
    two.fence.poll()
    assert (two.sends(), two.why()) == (False, UNKNOWN)


def test_emails_overdue_at_a_takeover_go_singly(one: Copy) -> None:
    """Another copy may have sent them: the provider recognizes each by its own key, but not in a batch."""
    one.world.sender = dataclasses.replace(
        one.world.sender, settings=one.world.settings.model_copy(update={"resend_batch_above": 1})
    )
    for number in range(4):
        one.world.sign_up(email=f"before{number}@example.org")
    one.clock.advance(seconds=5)
    one.fence.claim()
    one.clock.advance(seconds=60)
    one.fence.poll()
    one.clock.advance(seconds=45)
    for number in range(4):
        one.world.sign_up(email=f"after{number}@example.org")
    one.clock.advance(seconds=5)
    one.world.work()
    assert sorted(one.world.provider.requests) == [1, 1, 1, 1, 4]


def sizes(copy: Copy) -> list[int]:
    """How many emails each request holds where four are due at once."""
    copy.world.sender = dataclasses.replace(
        copy.world.sender, settings=copy.world.settings.model_copy(update={"resend_batch_above": 1})
    )
    before = len(copy.world.provider.requests)
    for _ in range(4):
        copy.world.sign_up(email=f"person{secrets.token_hex(4)}@example.org")
    copy.clock.advance(seconds=5)
    copy.world.work()
    return copy.world.provider.requests[before:]


@pytest.mark.parametrize("begins", ["start", "restart", "take-over", "restart without Notion"])
def test_there_are_no_batches_until_another_copy_must_have_stopped(one: Copy, begins: str) -> None:
    """A copy has a minute to see that it is not the only one, and a lease to end what it has begun: until then emails
    go singly."""
    one.fence.poll()
    if begins != "start":
        one.clock.advance(seconds=61)
        one.fence.poll()
        one.clock.advance(seconds=46)
        assert sizes(one) == [4]
    if begins == "take-over":
        one.fence.claim()
    elif begins != "start":
        one.restarts()
        if begins == "restart without Notion":
            one.box.fault("disconnect", provider="notion")
            with pytest.raises(NotionError):
                one.fence.poll()
            one.clock.advance(seconds=61)
        one.fence.poll()
    assert sizes(one) == [1, 1, 1, 1]
    one.clock.advance(seconds=61)
    one.fence.poll()
    assert sizes(one) == [1, 1, 1, 1]
    one.clock.advance(seconds=41)
    assert sizes(one) == [4]


def test_a_fenced_copy_behind_a_timed_gate_tries_nothing(one: Copy, two: Copy) -> None:
    """Its backup was made while a used-up quota or a refused key held all back: no probe leaves it, and a claimed email
    does not either."""
    one.fence.poll()
    one.world.sign_up()
    one.world.provider.faults.append(SendError("quota", "Resend answered 429 daily_quota_exceeded", 3600))
    one.world.work()
    one.clock.advance(hours=2)
    one.world.release()
    claim = one.world.ledger.claim(*one.world.next_job() or ("", 0), token="t", late={}, rate=1000)
    assert isinstance(claim, Claimed)
    two.fence.poll()
    one.redis.hset(ids.FENCE, "why", OTHER)
    one.redis.hdel(ids.FENCE, "server")
    id = claim.items[0].id
    assert one.world.ledger.post([id], token="t", request=id, body="{}", spare=11, turn=claim.turn, rate=1000) is None
    assert one.world.ledger.release()[0] == 0
    assert one.world.work() == []


@pytest.mark.parametrize("leader", ["before", "after"])
def test_a_batch_includes_nothing_from_before_a_takeover(one: Copy, leader: str) -> None:
    """Whichever comes first: a batch's key tells the provider nothing about the emails in it."""
    world = batching(one.world)
    crowd(world, 2, "before")
    one.clock.advance(seconds=5)
    one.fence.claim()
    one.clock.advance(seconds=60)
    one.fence.poll()
    one.clock.advance(seconds=45)
    crowd(world, 2, "after")
    one.clock.advance(seconds=5)
    world.release()
    if leader == "after":
        last_first(world)
    world.work()
    assert sorted(world.provider.requests) == [1, 1, 2]
