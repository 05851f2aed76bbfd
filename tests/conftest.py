"""What many tests need: one embedded Valkey for the run, emptied for each test, and a ledger on it with a clock of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from local import valkey
from shared.ledger import Ledger

if TYPE_CHECKING:  # the world has this module's clock
    from shared.steering import Steering
    from tests.world import World

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


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[valkey.Valkey]:
    """The embedded Valkey, as the local stack configures it but for the fsync of each write."""
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
def clock() -> Clock:
    """The time of this test."""
    return Clock()


@pytest.fixture
def ledger(redis: Redis, clock: Clock) -> Ledger:
    """A ledger in an empty database, by the test's clock."""
    return Ledger(redis, clock=clock)


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    """An Evergreen in which nobody has signed up."""
    from tests.world import World

    return World(ledger, clock)


@pytest.fixture
def steering(world: World) -> Steering:
    """The operator's hand on it."""
    from shared.steering import Steering

    return Steering(world.ledger, world.sender.catalog, world.settings)


@pytest.fixture
def run(world: World) -> str:
    """Ada's run, whose first email is out."""
    run = world.sign_up()
    world.work()
    return run
