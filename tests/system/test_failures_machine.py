"""The machine and the owner's files: a suspended process, a full disk, a clock that steps, a template that cannot be
filled.

As a program it is a sender that is suspended on its way: it says so on stdout and continues when it is sent a line.
"""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import resend
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from local import valkey
from local.ports import HOST
from shared.domain.catalog import Catalog
from shared.emails.template_store import compile_source
from shared.integrations.provider import Accepted
from shared.integrations.resend import Resend
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.sending.sender import Sender
from tests.conftest import Clock
from tests.support import patience
from tests.support.functions_client import ROOT, deployed
from tests.support.own_port import own_port
from tests.support.racing import SharedClock
from tests.support.sandbox_server import sandbox
from tests.support.waiting import WITHIN, until
from tests.support.world import SETTINGS, World

FIRST = ("christmas", "christmas_email_1")


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    return World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))


def alerts(world: World) -> dict[str, str]:
    """The alerts that the owner got, each cause with its latest detail."""
    return {alert.subject: alert.detail for alert in iter(Alerts(world.ledger).take, None) if alert.kind == "alert"}


def broken(world: World) -> Sender:
    """The world's sender with a first email that names a business, which not every contact has given."""
    catalog = world.sender.catalog
    template = compile_source(catalog.sources[FIRST] + "\n\nFor {{ business_name }}.\n", FIRST, catalog, world.settings)
    return dataclasses.replace(world.sender, templates={**world.sender.templates, FIRST: template})


class TestTemplate:
    """A template that cannot be filled for a contact."""

    def test_a_template_is_fixed_in_time(self, world: World) -> None:
        """Others of the same batch get theirs; the owner gets an alert after three attempts; fixed, it goes with the
        next hourly attempt."""
        good, world.sender = world.sender, broken(world)
        run = world.sign_up()
        others = [world.sign_up(email=f"{name}@example.org", business_name="Engines") for name in ("bo", "cy")]
        world.work()
        assert [world.states(other)[0] for other in others] == ["sent", "sent"]
        assert (world.run(run).step(1).state, world.run(run).step(1).posted) == ("scheduled", None)
        world.live(hours=1)
        assert "business_name" in alerts(world)["retrying"]
        world.sender = good
        world.live(hours=1.25)
        assert world.states(run)[0] == "sent"
        assert world.provider.twice == []

    def test_a_template_is_not_fixed(self, world: World) -> None:
        """After `late.after` the email is failed with its reason, the owner gets an alert, and the next one goes."""
        world.sender = broken(world)
        run = world.sign_up()
        world.live(hours=14)
        step = world.run(run).step(1)
        assert step.state == "failed" and "business_name" in str(step.why)
        assert "business_name" in alerts(world)["failed"]
        world.live(hours=11)
        assert world.states(run)[:2] == ["failed", "sent"]

    def test_a_campaign_is_removed_and_restored(self, world: World) -> None:
        """Steps that become due in the meantime are skipped, with the reason; the rest continues."""
        catalog = world.sender.catalog
        others = Catalog({slug: c for slug, c in catalog.campaigns.items() if slug != "christmas"}, catalog.sources)
        run = world.sign_up()
        world.work()
        world.sender = dataclasses.replace(world.sender, catalog=others)
        world.live(hours=25)
        assert (world.run(run).step(2).state, world.run(run).step(2).why) == (
            "skipped",
            "the campaign no longer has this step",
        )
        world.sender = dataclasses.replace(world.sender, catalog=catalog)
        world.live(hours=270)
        assert world.states(run) == ["sent", "skipped", *["sent"] * 5]
        assert world.run(run).state == "completed"


class TestClock:
    """Redis's clock, the only one that counts, steps."""

    @pytest.mark.parametrize("seed", range(4))
    def test_the_clock_steps_forward_and_back(self, world: World, seed: int) -> None:
        """By up to two days at a time: no email is early, sent twice or forgotten."""
        chance = random.Random(seed)
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(3)]
        suspects: set[str] = set()
        seen = 0
        steps = [chance.choice([-48, -6, -0.01, 0.01, 1, 6, 48]) for _ in range(120)]
        for hours in [*steps, -sum(steps), *[12] * 40]:
            world.clock.advance(hours=hours)
            world.work()
            suspects, _ = world.ledger.sweep(suspects)
            for id in world.provider.email_ids[seen:]:
                enrollment, number = ids.parse_email_id(id)
                assert world.run(enrollment).step(number).due <= world.clock.now
            seen = len(world.provider.accepted)
        assert Counter(world.provider.email_ids) == {f"{run}-{number}": 1 for run in runs for number in range(1, 8)}

    def test_the_tick_age_stays_correct_when_the_clock_steps_back(self, world: World) -> None:
        """The last tick is never in the future: else a dead scheduler would seem alive until the clock caught up."""
        world.release()
        world.clock.advance(hours=-1)
        world.release()
        world.clock.advance(seconds=70)
        assert read_health(world.ledger).tick_age == 70_000


@contextmanager
def suspended_sender(*words: str) -> Iterator[subprocess.Popen[str]]:
    """This file as a program, suspended where it rests; see `_main` for the words."""
    argv = [sys.executable, "-m", "tests.system.test_failures_machine", *words]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "resting\n"
            process.send_signal(signal.SIGSTOP)
            until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("where", "says"),
    [("claimed", {"result": "parked", "posts": 0}), ("allowed", {"result": "sent", "posts": 1})],
    ids=["claimed", "allowed"],
)
def test_a_suspended_sender_wakes_after_its_lease(
    redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch, where: str, says: dict[str, Any]
) -> None:
    """Another is about to send the email.

    Before its last look it posts nothing; after it, the provider takes one of the two requests."""
    for name in ("api_key", "api_url", "default_http_client"):
        monkeypatch.setattr(resend, name, getattr(resend, name))
    clock = SharedClock(redis)
    clock.set(time.time_ns() // 1_000_000)  # the sandbox's
    world = World(Ledger(redis, clock=clock), cast(Any, clock))
    run = world.sign_up()
    said: list[object] = []
    with sandbox() as box, suspended_sender(valkey_server.url, valkey_server.password, box.url, run, where) as sleeper:

        def wake(_seconds: float) -> None:
            sleeper.send_signal(signal.SIGCONT)
            said.append(json.loads(sleeper.communicate("go on\n", timeout=WITHIN)[0]))

        other = dataclasses.replace(world.sender, provider=patience.resend(box), sleep=wake)
        assert other.send(run, 1).result == "parked" and said == []
        clock.advance(seconds=SETTINGS.lease)
        other.send(run, 1)
        assert said == [says]
        assert other.send(run, 1).result == "already-sent"
        assert len(box.outbox()) == 1
    assert world.run(run).step(1).state == "sent"


@contextmanager
def valkey_on_a_disk(directory: Path, port: int, size: int = -1) -> Iterator[valkey.Valkey]:
    """A Valkey whose files cannot grow beyond a size in bytes (-1: they can), as on a full disk: writing more fails."""
    argv = ["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *valkey.command(directory, port, "secret")]
    with subprocess.Popen(argv, cwd=directory, stdout=subprocess.DEVNULL) as process:
        until(lambda: valkey.answers(port, "secret"))
        fill(process, size)
        try:
            yield valkey.Valkey(f"redis://{HOST}:{port}/0", "secret", port, process)
        finally:
            process.kill()


def fill(process: subprocess.Popen[bytes], size: int) -> None:
    """Let the files of a process grow to this size and no further."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey ends rather than lose a write that it has confirmed; webhooks answer 503; with room again, everything is
    whole."""
    with own_port() as port, valkey_on_a_disk(tmp_path, port) as server, deployed(server, monkeypatch) as functions:
        assert functions.sign_up().status_code == 202
        (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        full = log.stat().st_size + 300
        fill(server.process, full)
        answer = functions.sign_up({"email": "bob@example.org"})
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
        assert server.process.wait(WITHIN) != 0
        with valkey_on_a_disk(tmp_path, port, full) as again:
            assert functions.run() and functions.run("bob@example.org") is None
            with (
                Redis.from_url(again.url, password=again.password, retry=Retry(NoBackoff(), 0)) as client,
                pytest.raises(RedisError),
            ):
                client.set("more", "x" * 1000)
            assert again.process.wait(WITHIN) != 0
        with valkey_on_a_disk(tmp_path, port):
            assert functions.run() and functions.run("bob@example.org") is None
            assert functions.sign_up({"email": "bob@example.org"}).status_code == 202
            runs = [functions.run(), functions.run("bob@example.org")]
            assert [len(run.steps) for run in runs if run] == [7, 7]
            redis = functions.ledger.redis
            assert (redis.zcard(ids.OPEN), redis.zcard(ids.SCHEDULED), redis.llen(ids.QUEUE)) == (14, 12, 2)


class _Resting:
    """A provider that rests before it posts."""

    def __init__(self, url: str, rest: bool) -> None:
        self.client, self.rests, self.posts = Resend("re_sandbox", url, timeout=WITHIN), rest, 0

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Send one email."""
        if self.rests:
            _rest()
        self.posts += 1
        return self.client.send(email, key=key)

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Never asked: only one email is ready."""
        raise AssertionError("a batch of one")

    def time(self) -> int | None:
        """What time it says it is."""
        return self.client.time()


def _rest(_seconds: float = 0) -> None:
    print("resting", flush=True)
    sys.stdin.readline()


def _main(url: str, password: str, box: str, run: str, where: str) -> None:
    redis = Redis.from_url(url, password=password, decode_responses=True)
    clock = SharedClock(redis)
    provider = _Resting(f"{box}/resend", where == "allowed")
    world = World(Ledger(redis, clock=clock), cast(Any, clock))
    sender = dataclasses.replace(world.sender, provider=provider, sleep=_rest if where == "claimed" else lambda _: None)
    result = sender.send(run, 1).result
    print(json.dumps({"result": result, "posts": provider.posts}))


if __name__ == "__main__":
    from shared.core import log

    log.configure()  # logs go to stderr
    _main(*sys.argv[1:])
