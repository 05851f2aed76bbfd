"""The scheduler's part that looks into Resend's list: as it starts, with the clients that it makes itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scheduler import doubt_poll
from shared import services
from shared.core.errors import SendError
from shared.core.settings import Settings
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.waiting import until
from tests.support.world import World


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return World(ledger, clock)


def settled(world: World, run: str) -> bool:
    """Whether the first email counts as sent."""
    return world.states(run)[0] == "sent"


def started(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, settings: Settings, stop: threading.Event
) -> list[threading.Thread]:
    """What the scheduler of this process starts."""
    monkeypatch.setattr(services, "current_settings", lambda: settings)
    monkeypatch.setattr(services, "ledger", lambda: ledger)
    return doubt_poll.start(stop)


def test_an_email_in_doubt_is_settled_beside_the_release_loop(
    world: World, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Resend lists is `sent`, and its list was read at a turn of ours."""
    run = world.sign_up()
    world.provider.faults.extend(["lost", SendError("conflict", "another body")])
    world.work()
    world.clock.advance(seconds=60)
    world.work()
    assert world.states(run)[0] == "in-doubt"
    (email,) = world.provider.accepted
    box.resend(
        "POST", "/emails", json={name: email[name] for name in ("from", "to", "subject", "text")}
    ).raise_for_status()
    stop = threading.Event()
    settings = world.settings.model_copy(update={"resend_api_url": f"{box.url}/resend", "resend_api_key": "re_sandbox"})
    (thread,) = started(monkeypatch, world.ledger, settings, stop)
    until(lambda: settled(world, run))
    stop.set()
    thread.join()
    assert world.redis.exists("eg:turns:resend")
    assert not world.redis.exists(doubt_poll.LOCK)


def test_without_a_key_resend_is_not_asked(ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no thread."""
    settings = world.settings.model_copy(update={"resend_api_key": ""})
    assert started(monkeypatch, ledger, settings, threading.Event()) == []
