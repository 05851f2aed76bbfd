"""The ledger's version: every script checks it first, and no program decides on a ledger that belongs to a newer
release."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from local import valkey
from shared.core.errors import LedgerTooNew
from shared.domain.states import Outcome
from shared.ledger import ids, version
from shared.ledger.client import Ledger
from shared.ledger.health import Problem, read_health
from shared.ledger.orders import Ending
from shared.ledger.restore_orders import Foreseen, Restore, RestoredEnrollment
from shared.ledger.script_sources import sources
from shared.ledger.version import VERSION
from tests.conftest import Clock
from tests.support.functions_client import ADDRESS, LINK
from tests.support.webhook_calls import WEBHOOKS, good, kept, post, webhooks
from tests.support.world import World

NEWER = str(VERSION + 1)
SCRIPTS = sorted(sources({}))
BEFORE_VERSIONS = {
    "a scheduler at work": ("set", ids.TICK, "1"),
    "a contact enrolled": ("hset", "eg:runs", "christmas-1", "1"),
}
BEFORE_VERSIONS |= {"a job queued for Notion or the owner": ("set", "eg:jobs", "1")}
ENDED = RestoredEnrollment(id="christmas-x-1", key="christmas-x", number=1, what="finished", kind="marketing")
FINISHED = Restore(contact="x", run=ENDED)
STORING: dict[str, Callable[[World], object]] = {
    "the scheduler's tick": lambda world: world.ledger.release(),
    "a sign-up": lambda world: world.sign_up(),
    "a suppression": lambda world: world.ledger.suppress(ids.digest(ADDRESS), "manual"),
    "an alert": lambda world: world.ledger.alert("x", "x"),
    "a finished enrollment restored from Notion": lambda world: world.ledger.restore(FINISHED),
}
ASKING: dict[str, Callable[[Ledger], object]] = {
    "the version": lambda ledger: ledger.version(),
    "a claim of an unknown step": lambda ledger: ledger.claim("christmas-x-1", 1, token="t", late={}),
    "the sweeper": lambda ledger: ledger.sweep(set()),
    "the audit": lambda ledger: ledger.audit(["christmas-x-1"], repair=True),
    "the next update for Notion": lambda ledger: ledger.take(lease=1),
    "a lift for an unknown contact": lambda ledger: ledger.lift("x", ["unsubscribed"]),
    "a dry run": lambda ledger: ledger.restore(
        dataclasses.replace(FINISHED, dry=Foreseen(lost=False, gone=[], held=False))
    ),
    "a gate that is open": lambda ledger: ledger.start_sending(),
}


def everything(redis: Redis) -> dict[str, Any]:
    """The whole database, byte for byte."""
    return {key: redis.dump(key) for key in redis.scan_iter()}


@pytest.fixture
def lived_in(world: World) -> str:
    """An enrollment whose first email is out, with changes that wait for Notion and the owner, and a gate; returns its
    id."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=24)
    world.release()
    world.ledger.suppress(ids.digest("bob@example.org"), "manual")
    world.ledger.stop_sending("a reason")
    return run


class TestScripts:
    """What a script does with the version."""

    @pytest.mark.parametrize("script", SCRIPTS)
    @pytest.mark.parametrize("version", [NEWER, "100", "0", "of another kind"])
    def test_a_newer_ledger_is_refused_and_left_unchanged(
        self, world: World, lived_in: str, script: str, version: str
    ) -> None:
        """For every call; the error names both versions and the command to run."""
        world.redis.set(ids.VERSION, version)
        before = everything(world.redis)
        asked = {
            "enrollment": lived_in,
            "step": 2,
            "contact": ids.digest("ada@example.org"),
            "reason": "manual",
            "cause": "x",
            "detail": "x",
        }
        with pytest.raises(
            LedgerTooNew,
            match=f"version {version}, and this program reads up to {VERSION}; run the release that wrote it",
        ):
            world.ledger._decide(script, asked)
        assert everything(world.redis) == before

    def test_a_decision_on_a_newer_ledger_changes_nothing(self, world: World, lived_in: str) -> None:
        """Those of sending, with all that they are usually asked: none is claimed, posted, settled, released or
        swept."""
        world.redis.set(ids.VERSION, NEWER)
        before, ledger, email = everything(world.redis), world.ledger, ids.email_id(lived_in, 2)
        for decision in (
            lambda: ledger.claim(lived_in, 2, token="t", late={}),
            lambda: ledger.post([email], token="t", request=email, body="{}", spare=11),
            lambda: ledger.settle([email], Ending(Outcome.ACCEPTED, ids=["id-1"]), token="t"),
            ledger.release,
            lambda: ledger.sweep({email}),
            ledger.start_sending,
            lambda: world.sign_up(email="eve@example.org"),
            lambda: ledger.peek(lived_in, 2),
            ledger.check_version,
        ):
            with pytest.raises(LedgerTooNew):
                decision()
        assert everything(world.redis) == before

    @pytest.mark.parametrize("first", STORING)
    def test_an_empty_redis_gets_this_version_with_the_first_stored_data(
        self, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch, first: str
    ) -> None:
        """Also where workers, the fence and a gate are there before it; in a release that knows a second version, that
        one."""
        monkeypatch.setattr(version, "VERSION", 2)
        world = World(Ledger(redis, clock=clock, durable=True), clock)
        redis.sadd(ids.WORKERS, "rq:worker:1")
        redis.hset("rq:worker:1", "birth", "now")
        redis.hset(ids.FENCE, "on", "1")
        world.ledger.stop_sending("a reason")
        world.ledger.start_sending()
        assert (world.ledger.version(), redis.get(ids.VERSION)) == (2, None)
        STORING[first](world)
        assert redis.exists(ids.TICK, "eg:runs", "eg:jobs") > 0
        assert (redis.get(ids.VERSION), world.ledger.version()) == ("2", 2)

    @pytest.mark.parametrize("asked", ASKING)
    def test_a_call_that_stores_nothing_leaves_no_mark(self, ledger: Ledger, redis: Redis, asked: str) -> None:
        """A question, a refusal and a dry run leave an empty Redis as it is."""
        ASKING[asked](ledger)
        assert list(redis.scan_iter()) == []

    @pytest.mark.parametrize("sign", BEFORE_VERSIONS)
    def test_a_ledger_without_a_mark_counts_as_version_1(
        self, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch, sign: str
    ) -> None:
        """It was written before versions counted, and must not pass as new; what is stored next marks it as what it
        is."""
        monkeypatch.setattr(version, "VERSION", 2)
        ledger = Ledger(redis, clock=clock)
        redis.execute_command(*BEFORE_VERSIONS[sign])  # type: ignore[no-untyped-call]  # shipped without types
        assert (ledger.version(), redis.get(ids.VERSION)) == (1, None)
        ledger.alert("x", "x")
        assert (ledger.version(), redis.get(ids.VERSION)) == (1, "1")

    @pytest.mark.parametrize("marked", [True, False])
    def test_the_check_costs_one_get_and_no_write(self, ledger: Ledger, redis: Redis, marked: bool) -> None:
        """Only where the mark is missing there is one look more."""
        if marked:
            redis.set(ids.VERSION, VERSION)
        ledger.version()  # Redis knows the script from here on
        redis.config_resetstat()
        assert ledger.version() == VERSION
        counted = {name: found["calls"] for name, found in redis.info("commandstats").items()}
        assert counted.pop("cmdstat_evalsha") == 1
        assert {
            name: calls for name, calls in counted.items() if name not in ("cmdstat_time", "cmdstat_config|resetstat")
        } == {"cmdstat_get": 1} | ({} if marked else {"cmdstat_exists": 1})

    def test_a_full_redis_gets_no_mark_and_can_still_free_memory(self, ledger: Ledger, redis: Redis) -> None:
        """What only removes continues; what would start something is refused, and the mark comes later."""
        redis.hset("eg:runs", "christmas-1", "1")
        redis.hset(ids.GATE, "reason", "a reason")
        redis.config_set("maxmemory", "1")
        try:
            ledger.start_sending()
            with pytest.raises(OutOfMemoryError):
                ledger.release()
        finally:
            redis.config_set("maxmemory", "0")
        assert redis.exists(ids.GATE, ids.VERSION) == 0
        ledger.release()
        assert redis.get(ids.VERSION) == "1"


class TestFunctions:
    """How the functions respond."""

    @pytest.mark.parametrize("name", WEBHOOKS)
    def test_a_webhook_is_503_and_stores_nothing(
        self, name: str, redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not 202: the sender comes again, when the newer release is there."""
        with webhooks(valkey_server, monkeypatch) as functions:
            functions.client(name)
            redis.set(ids.VERSION, NEWER)
            before = kept(functions)
            answer = post(functions, name, good(name))
            assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
            assert "version" not in answer.text, "a stranger need not know"
            assert kept(functions) == before

    def test_an_older_function_changes_nothing(
        self, redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """send-email is 503; the unsubscribe page asks to try again; health says what is wrong."""
        with webhooks(valkey_server, monkeypatch) as functions:
            assert functions.sign_up().status_code == 202
            (job,) = map(str, redis.lrange(ids.QUEUE, 0, -1))
            redis.set(ids.VERSION, NEWER)
            before = kept(functions)
            assert functions.send(*ids.parse_job_id(job)).status_code == 503
            pressed = functions.client("unsubscribe").post(LINK)
            assert (pressed.status_code, "press the button again" in pressed.text) == (503, True)
            health = functions.client("health").get("/")
            assert (health.status_code, json.loads(health.text)["reasons"][0]) == (
                503,
                "the ledger is from a newer release",
            )
            assert kept(functions) == before


def test_health_names_a_newer_ledger_first(world: World, lived_in: str) -> None:
    """Health is read without a script, and judges as these do."""
    assert Problem.TOO_NEW not in read_health(world.ledger).problems
    world.redis.set(ids.VERSION, NEWER)
    assert read_health(world.ledger).problems[0] is Problem.TOO_NEW
