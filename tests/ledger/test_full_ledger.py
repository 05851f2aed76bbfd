"""A ledger at its maxmemory, on a real Valkey: nothing new starts; what ends, stops or settles works, whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from shared.core.errors import SendError
from shared.ledger import ids, limits, sessions
from shared.ledger.alerts import Alerts
from shared.ledger.fence_state import FenceState
from shared.ledger.health import Problem, read_health
from shared.ledger.orders import Limit, Report
from shared.ledger.outbox import Outbox
from shared.ledger.script_sources import FOLDER, flags, sources
from shared.operations import privacy
from tests.support.batches import batching, crowd
from tests.support.refusing import refusing
from tests.support.strangers import ADDRESS, Door
from tests.support.world import ADA, World

CONTACT = ids.digest(str(ADA["email"]))
BOB = "bob@example.org"
ON_A_FULL_LEDGER = {
    *(
        "pause",
        "cancel",
        "skip",
        "suppress",
        "receive",
        "gate",
        "settle",
        "forget",
        "purge",
        "fence",
    ),  # end, stop, settle
    *("alert", "notice", "told", "recorded", "empty"),  # the owner is told; what was done frees memory
    *("limit", "signout", "pace"),  # the console's login and logout, and turns for alerts and for trashing pages
}


def test_only_these_scripts_run_on_a_full_ledger() -> None:
    """Nothing that starts or resumes anything, or sends."""
    files = FOLDER.glob("scripts/*.lua")
    assert {file.stem for file in files if flags(file.read_text(encoding="utf-8"))} == ON_A_FULL_LEDGER
    wholes = sources({})
    assert {name for name, text in wholes.items() if text.startswith("#!lua flags=allow-oom\n")} == ON_A_FULL_LEDGER


def report(world: World, run: str, what: str) -> str:
    """A report of the provider about the first email."""
    order = Report(
        seen=what,
        seen_ttl=60_000,
        what=what,
        at=world.clock.now,
        contact=CONTACT,
        enrollment=run,
        step=1,
        id=None,
        sent=world.clock.now,
    )
    return world.ledger.receive(order)


def gate(world: World) -> str | None:
    """Why sending is stopped."""
    return read_health(world.ledger).gate


STOPS: dict[str, Callable[[World, str], bool]] = {
    "pause": lambda world, run: world.ledger.pause(run) == "paused" and world.redis.zcard(ids.OPEN) == 0,
    "cancel": lambda world, run: (
        world.ledger.cancel(run, "a reason") == "cancelled" and not world.redis.zcard(ids.OPEN)
    ),
    "skip": lambda world, run: world.ledger.skip(run, 2, "a reason") == "skipped",
    "unsubscribe": lambda world, _: world.ledger.suppress(CONTACT, "unsubscribed") == 1,
    "suppress": lambda world, _: world.ledger.suppress(CONTACT, "manual") == 1,
    "a stranger's unsubscribe": lambda world, _: world.ledger.suppress(ids.digest("x@example.org"), "manual") == 0,
    "a complaint": lambda world, run: report(world, run, "complained") == "suppressed",
    "a bounce": lambda world, run: report(world, run, "bounced") == "suppressed",
    "a delivery": lambda world, run: report(world, run, "delivered") == "recorded",
}


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("known", [True, False])
def test_what_stops_email_works(world: World, run: str, stop: str, known: bool) -> None:
    """Also if Redis does not know the script yet, as after its restart."""
    world.work()
    if not known:
        world.redis.script_flush()
    with refusing(world.redis, "OOM"):
        assert STOPS[stop](world, run)


def test_stopping_and_starting_all_sending_works(world: World) -> None:
    """By the gate."""
    with refusing(world.redis, "OOM"):
        world.ledger.stop_sending("a flood")
        assert gate(world) == "a flood"
        world.ledger.start_sending()
        assert gate(world) is None


def test_forgetting_works(world: World, run: str) -> None:
    """Whole: it frees memory, and writes a suppression back."""
    world.ledger.suppress(CONTACT, "unsubscribed")
    with refusing(world.redis, "OOM"):
        assert privacy.forget(str(ADA["email"]), world.ledger, world.settings, None).erased.enrollments == 1
    assert world.redis.hkeys(ids.contact_key(CONTACT)) == ["unsubscribed"]
    assert world.ledger.enrollment(run) is None


def test_a_fenced_copy_stops(world: World) -> None:
    """What the fence keeps is written, so that a copy that was taken over stops."""
    fence = FenceState(world.ledger)
    fence.keep(on="1", server=fence.server())
    with refusing(world.redis, "OOM"):
        fence.drop("server")
        fence.keep("at", why="another copy is sending")
    assert fence.refusal() == "another copy is sending"


def test_the_owner_can_sign_in_and_out(world: World) -> None:
    """Attempts are counted and given back, and a session ends."""
    attempts = Limit(key="console login:x", most=1, window=60_000)
    with refusing(world.redis, "OOM"):
        assert world.ledger.limit(attempts).wait == 0
        limits.give_back(world.ledger, attempts)
        assert world.ledger.limit(attempts).wait == 0
        assert world.ledger.limit(attempts).wait > 0
        sessions.end(world.ledger, "a session", 3600)
        assert sessions.has_ended(world.ledger, "a session")
    assert 3_590_000 < world.redis.pttl("eg:console:ended:a session") <= 3_600_000


def test_the_owner_is_told(world: World) -> None:
    """An alert is raised, taken and marked as sent; what was recorded leaves the outbox."""
    world.sign_up()
    outbox, alerts = Outbox(world.ledger), Alerts(world.ledger)
    entry = outbox.take()
    assert entry
    with refusing(world.redis, "OOM"):
        alerts.report("full", "x")
        alert = alerts.take()
        assert alert and alert.subject == "full"
        assert alerts.failed(alert, 0) == 1
        alerts.told(alert)
        depth = outbox.depth()
        outbox.recorded(entry)
        assert outbox.depth() == depth - 1
        assert outbox.empty() == depth - 1


STARTS: dict[str, Callable[[World, str], object]] = {
    "a sign-up": lambda world, _: world.sign_up(email=BOB),
    "a known person's sign-up": lambda world, _: world.sign_up(),
    "a claim": lambda world, run: world.ledger.claim(run, 2, token="t", late={}),
    "a release": lambda world, _: world.ledger.release(),
    "send now": lambda world, run: world.ledger.hurry(run, 2),
    "a move": lambda world, run: world.ledger.move(run, from_anchor=world.run(run).anchor, to_anchor=1, dues={}),
}


@pytest.mark.parametrize("what", STARTS)
def test_nothing_starts(world: World, run: str, raw: Redis, what: str) -> None:
    """It is refused, and leaves nothing behind."""
    world.clock.advance(hours=24 * 30)

    def everything() -> dict[bytes, bytes | None]:
        return {key: raw.dump(key) for key in raw.scan_iter()}

    before = everything()
    with refusing(world.redis, "OOM"), pytest.raises(OutOfMemoryError):
        STARTS[what](world, run)
    assert everything() == before


BALLAST = 64 * 2**20  # bytes, so that a twentieth is more than what a request's own buffers take


def test_no_visitor_takes_the_last_tenth(world: World) -> None:
    """Above nine tenths of the memory a form that proves nothing is refused and leaves nothing; all else goes on."""
    door, run = Door(world.ledger, world.clock), world.sign_up()
    door.post("always")
    assert door.ask() == [ADDRESS]
    world.redis.setrange("ballast", BALLAST, "x")
    used, before = read_health(world.ledger).memory, world.redis.dbsize()
    world.redis.config_set("maxmemory", round(used / 0.95))
    try:
        with pytest.raises(OutOfMemoryError):
            door.post(email=BOB)
        assert world.redis.dbsize() == before
        assert Problem.NO_ROOM in read_health(world.ledger).problems
        assert door.prove(email=BOB).outcome.what == "enrolled"
        assert door.confirm()
        world.work()
    finally:
        world.redis.config_set("maxmemory", "0")
    assert world.states(run)[0] == "sent"
    assert door.post(email="carol@example.org").outcome.what == "enrolled"


def fills_in_flight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger becomes full while the provider has the request."""
    take = world.provider._take

    def take_and_fill(emails: list[dict[str, object]], key: str, *, permissive: bool) -> object:
        world.redis.config_set("maxmemory", "1")
        return take(emails, key, permissive=permissive)

    monkeypatch.setattr(world.provider, "_take", take_and_fill)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("none", "sent"),
        (SendError("refused", "no such address"), "failed"),
        (SendError("conflict", "another body"), "in-doubt"),
        (SendError("wait", "no route"), "scheduled"),
        (SendError("ambiguous", "no answer"), "sending"),
    ],
)
def test_an_email_in_flight_is_settled(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: SendError | str, state: str
) -> None:
    """As it would be with memory to spare: sent, refused, or as unsure as the answer was, with its alert."""
    world.provider.faults.append(fault)
    run, job = world.sign_up(), world.next_job()
    assert job
    fills_in_flight(world, monkeypatch)
    try:
        world.sender.send(*job)
    finally:
        world.redis.config_set("maxmemory", "0")
    assert world.states(run)[0] == state
    alerts = {alert.subject for alert in iter(Alerts(world.ledger).take, None) if alert.kind == "alert"}
    assert alerts == ({state} if state in ("failed", "in-doubt") else set())


def test_a_batch_in_flight_is_settled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its emails."""
    many = batching(world)
    runs = crowd(many, 5)
    job = many.next_job()
    assert job
    fills_in_flight(many, monkeypatch)
    try:
        many.sender.send(*job)
    finally:
        world.redis.config_set("maxmemory", "0")
    assert many.provider.requests == [5]
    assert [many.states(run)[0] for run in runs] == ["sent"] * 5


def test_an_email_that_was_claimed_before_costs_its_lease(world: World) -> None:
    """The last look starts something: it is refused, nothing leaves, and the email goes out when there is memory."""
    compose = world.sender.sleep
    run, job = world.sign_up(), world.next_job()
    assert job

    def fill(length: float) -> None:
        world.redis.config_set("maxmemory", "1")
        compose(length)

    object.__setattr__(world.sender, "sleep", fill)
    try:
        with pytest.raises(OutOfMemoryError):
            world.sender.send(*job)
    finally:
        world.redis.config_set("maxmemory", "0")
        object.__setattr__(world.sender, "sleep", compose)
    assert world.provider.requests == []
    world.live(1)
    assert world.states(run)[0] == "sent" and world.provider.requests.count(1) == 1
