"""What many tests need: one embedded Valkey for the run, emptied for each test, and a ledger on it with a clock of its
own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from redis import Redis

from local import valkey
from shared.ledger.client import Ledger
from tests.support.refusing import REFUSALS, Refuse
from tests.support.tls_server import make_certificate

if TYPE_CHECKING:  # heavy modules, and those with this module's clock, are loaded by their fixtures
    from wsgiref.types import WSGIApplication

    from playwright.sync_api import Browser, Page

    from shared.operations.enrollment_actions import EnrollmentActions
    from tests.support.console_desk import Desk
    from tests.support.lost_history import Story
    from tests.support.sandbox_server import Sandbox
    from tests.support.site_server import Webhooks
    from tests.support.world import World

# a machine may be slow
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

START = 1_800_000_000_000  # an arbitrary instant in milliseconds: 2027-01-15 08:00 UTC


@dataclass
class Clock:
    """A clock that stands still until a test moves it; milliseconds since 1970 UTC."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def advance(self, *, ms: int = 0, seconds: float = 0, hours: float = 0) -> None:
        """Move on (or back)."""
        self.now += ms + round(seconds * 1000) + round(hours * 3_600_000)


@pytest.fixture(autouse=True, scope="session")
def loggers_in_reach() -> Iterator[None]:
    """structlog.testing.capture_logs misses a logger that was used under a configuration which keeps loggers."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False}))
        structlog.configure(**structlog.get_config())
        yield


@pytest.fixture(autouse=True)
def logs_of_this_test() -> Iterator[None]:
    """A command that a test calls sets up the logs of its own process: the next test must not inherit that, or it
    captures nothing."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[valkey.Valkey]:
    """The embedded Valkey, configured like the local stack's, except for the fsync of each write."""
    directory: Path = tmp_path_factory.mktemp("valkey")
    with valkey.serve(directory, 0, secrets.token_hex(8), fsync="everysec") as server:
        yield server


@pytest.fixture
def redis(valkey_server: valkey.Valkey) -> Iterator[Redis]:
    """An empty database, with text answers."""
    with Redis.from_url(valkey_server.url, password=valkey_server.password, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def raw(valkey_server: valkey.Valkey, redis: Redis) -> Iterator[Redis]:
    """A client of the same database as RQ needs it: responses stay bytes."""
    with Redis.from_url(valkey_server.url, password=valkey_server.password) as client:
        yield client


@pytest.fixture(params=REFUSALS)
def refuse(request: pytest.FixtureRequest, redis: Redis) -> Iterator[Refuse]:
    """Makes the test's Redis refuse every write, or take it again."""
    yield lambda on: REFUSALS[request.param](redis, on)
    REFUSALS[request.param](redis, False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrusted certificate for this machine, key.pem and cert.pem."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def clock() -> Clock:
    """This test's clock."""
    return Clock()


@pytest.fixture
def ledger(redis: Redis, clock: Clock) -> Ledger:
    """A ledger in an empty database, by the test's clock."""
    return Ledger(redis, clock=clock, durable=True)


@pytest.fixture
def lasting_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler tick counts for ten minutes, for tests that use Redis's own clock."""
    monkeypatch.setattr("shared.ledger.health.SILENT_AFTER", 600_000)


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    """An Evergreen in which no one has signed up."""
    from tests.support.world import World

    return World(ledger, clock)


@pytest.fixture
def actions(world: World) -> EnrollmentActions:
    """The operator's actions on it."""
    from shared.operations.enrollment_actions import EnrollmentActions

    return EnrollmentActions(world.ledger, world.sender.catalog, world.settings)


@pytest.fixture
def run(world: World) -> str:
    """Ada's run, whose first email is out."""
    run = world.sign_up()
    world.work()
    return run


@pytest.fixture
def new_story(ledger: Ledger, clock: Clock) -> Iterator[Callable[[], Story]]:
    """Starts a story with a ledger that may get lost, each time in a new world."""
    from tests.support.lost_history import stories

    with stories(ledger, clock) as begin:
        yield begin


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """The stand-in for Resend, Notion and Discord: in memory, with high limits and no lag in search."""
    from tests.support.sandbox_server import sandbox

    with sandbox() as running:
        yield running


@pytest.fixture
def notion(box: Sandbox) -> Any:
    """Notion's own client, at the stand-in."""
    return box.notion_client()


@pytest.fixture
def tracker(box: Sandbox) -> str:
    """The id of a tracker's data source as an owner has it."""
    return str(box.seed()["tracker"]["data_source_id"])


@pytest.fixture(scope="module")
def app(valkey_server: valkey.Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WSGIApplication]:
    """One console for all tests of a module."""
    from tests.support.console_desk import console

    with console(valkey_server, tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture
def desk(app: WSGIApplication, redis: Redis) -> Desk:
    """The operator in the console, signed in, with an empty ledger."""
    from tests.support.console_desk import Desk

    desk = Desk(app)
    desk.sign_in()
    return desk


@pytest.fixture
def ada(desk: Desk) -> Desk:
    """The same, with Ada's Christmas run before it begins to be sent."""
    from tests.support.console_desk import sign_up

    sign_up()
    return desk


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a module."""
    from tests.support import browser

    with browser.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[tuple[str, Webhooks]]:
    """The demo site's URL, and what it posts to."""
    from tests.support import site_server

    with site_server.serving(tmp_path_factory.mktemp("site")) as serving:
        yield serving


@pytest.fixture
def page(chromium: Browser, served: tuple[str, Webhooks]) -> Iterator[Page]:
    """A visitor on the demo site's home page."""
    from tests.support.site_visitor import visiting

    with visiting(chromium, served[0]) as page:
        yield page
