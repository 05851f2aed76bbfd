"""Redis dies, or refuses, or holds garbage, at every point of an email's way: a real Valkey, killed with -9 and started
again."""

from __future__ import annotations

import random
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue

from local import valkey
from scheduler import jobs
from scheduler.release import Loop
from scheduler.rq_schedule import QUEUE, Job, Schedule
from scheduler.worker import Worker
from shared import services
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.functions_client import LINK, Functions, deployed, load
from tests.support.refusing import Refuse
from tests.support.sandbox_server import sandbox, serving
from tests.support.waiting import until
from tests.support.webhook_calls import kept
from tests.support.world import SETTINGS, World

BATCHES = SETTINGS.model_copy(update={"resend_batch_above": 1})
QUICK = SETTINGS.model_copy(update={"testing_mode": True, "testing_step": 0.5})


class Doomed(Ledger):
    """A ledger whose Redis dies before one of its scripts, or after it without an answer.

    Attributes:
        doom: the script and `before` or `after`; None once it has happened.
    """

    def __init__(self, server: valkey.Valkey, clock: Clock, doom: tuple[str, str]) -> None:
        address = {"password": server.password, "decode_responses": True, "retry": Retry(NoBackoff(), 0)}
        super().__init__(Redis.from_url(server.url, **address), clock=clock)
        self.process = server.process
        self.doom: tuple[str, str] | None = doom

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        """As the ledger does, as long as there is a Redis."""
        if self.doom == (script, "before"):
            self._die()
        answer = super()._decide(script, order, *texts)
        if self.doom == (script, "after"):
            self._die()
            raise RedisConnectionError("the answer was lost")
        return answer

    def _die(self) -> None:
        self.doom = None
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("script", ["enroll", "release", "claim", "post", "settle", "sweep"])
def test_redis_dies(tmp_path: Path, clock: Clock, script: str, when: str) -> None:
    """Before or after any decision: when it is back, with what is on its disk, each email goes once and none is
    missing."""
    with valkey.serve(tmp_path, 0, "secret") as server:
        world = World(Doomed(server, clock, (script, when)), clock)
        with pytest.raises(RedisConnectionError):
            world.sign_up()
            world.work()
            world.ledger.sweep([])
    with valkey.serve(tmp_path, server.port, "secret"):
        run = world.sign_up()  # a form that got no 202 is posted again, and one that was enrolled is not enrolled twice
        world.live(hours=25)
        assert world.provider.email_ids == [f"{run}-1", f"{run}-2"]
        assert world.states(run) == ["sent"] * 2 + ["scheduled"] * 5


@pytest.mark.parametrize("people", [1, 3])
def test_an_email_accepted_as_redis_dies_is_sent_once(tmp_path: Path, clock: Clock, people: int) -> None:
    """After the lease the identical request is repeated, the provider recognizes it, and the email is `sent`, once."""
    with valkey.serve(tmp_path, 0, "secret") as server:
        world = World(Doomed(server, clock, ("settle", "before")), clock, BATCHES)
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(people)]
        with pytest.raises(RedisConnectionError):
            world.work()
    with valkey.serve(tmp_path, server.port, "secret"):
        assert {world.run(run).step(1).state for run in runs} == {"sending"}
        clock.advance(seconds=44.9)
        suspects, _ = world.ledger.sweep([f"{run}-1" for run in runs])
        assert world.work() == [] and suspects == set()
        clock.advance(seconds=10)
        world.ledger.sweep(world.ledger.sweep([])[0])
        world.work()
        assert {world.run(run).step(1).state for run in runs} == {"sent"}
    assert world.provider.requests == [people, people]
    assert sorted(world.provider.email_ids) == sorted(f"{run}-1" for run in runs)


@contextmanager
def releasing(ledger: Ledger, connection: Redis) -> Iterator[None]:
    """The scheduler's loop, running."""
    stop = threading.Event()
    thread = threading.Thread(target=Loop(ledger, Schedule(ledger, connection), stop).run)
    thread.start()
    try:
        yield
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join()


def test_the_scheduler_waits_while_redis_refuses_writes(redis: Redis, refuse: Refuse) -> None:
    """Its loop continues, and releases what became due as soon as it can."""
    ledger = Ledger(redis)
    world = World(ledger, Clock(ledger.now()), QUICK)
    run = world.sign_up()
    ledger.skip(run, 1, "by hand")
    redis.delete(ids.QUEUE)
    refuse(True)
    with releasing(ledger, redis):
        until(lambda: ledger.now() > world.run(run).step(2).due + 300)
        assert redis.llen(ids.QUEUE) == 0
        refuse(False)
        until(lambda: redis.lrange(ids.QUEUE, 0, -1) == [f"{run}-2-1"])


class Refused(Ledger):
    """A ledger whose Redis refuses half of the decisions.

    Attributes:
        refuse: makes it refuse, or take writes again.
        refused: the scripts that raised.
    """

    def __init__(self, redis: Redis, clock: Clock, refuse: Refuse) -> None:
        super().__init__(redis, clock=clock)
        self.refuse = refuse
        self.refused: set[str] = set()
        self._chance = random.Random(1)

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        """As the ledger does, where Redis takes it."""
        self.refuse(self._chance.random() < 0.5)
        try:
            return super()._decide(script, order, *texts)
        except RedisError:
            self.refused.add(script)
            raise
        finally:
            self.refuse(False)


def test_no_email_is_forgotten_when_redis_sometimes_refuses(
    redis: Redis, raw: Redis, clock: Clock, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the scheduler's own loop, with half of its decisions refused, and every third job lost: each email goes out,
    once."""
    monkeypatch.setattr("scheduler.release.SWEEP_EVERY", 0)
    world = World(Ledger(redis, clock=clock), clock)
    runs = [world.sign_up(email=f"p{number}@example.org") for number in range(2)]
    ledger = Refused(redis, clock, refuse)
    loop = Loop(ledger, Schedule(ledger, raw), threading.Event())
    lost = 0
    while any(world.run(run).state == "active" for run in runs):
        clock.advance(hours=4)
        for _ in range(4):
            with suppress(RedisError):
                loop._pass()
        while job := world.next_job():
            lost += 1
            if lost % 3:
                world.sender.send(*job)
        assert world.ledger.audit(runs) == []
    assert {"release", "sweep"} <= ledger.refused
    assert [world.states(run) for run in runs] == [["sent"] * 7] * 2
    assert sorted(world.provider.email_ids) == sorted(f"{run}-{step}" for run in runs for step in range(1, 8))


def test_the_scheduler_puts_back_steps_that_are_on_no_list(redis: Redis) -> None:
    """Within its first passes in a small ledger; the owner gets an alert, and two schedulers do it only once."""
    ledger = Ledger(redis)
    world = World(ledger, Clock(ledger.now()))
    runs = [world.sign_up(email=f"p{number}@example.org") for number in range(20)]
    lost = [ids.email_id(run, step) for run in runs for step in (1, 7)]
    redis.zrem(ids.OPEN, *lost)
    redis.delete(ids.QUEUE)
    with releasing(ledger, redis), releasing(Ledger(redis), redis):
        until(lambda: ledger.audit_all() == [])
    assert sorted(redis.lrange(ids.QUEUE, 0, -1)) == sorted(f"{run}-1-2" for run in runs)
    assert redis.hget("eg:alert:unlisted", "count") == str(len(lost))


def test_an_audit_reaches_every_enrollment_within_an_hour(
    redis: Redis, raw: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slices are as large as that takes, and after the last one it begins again."""
    monkeypatch.setattr("scheduler.release.SWEEP_EVERY", 60)
    monkeypatch.setattr("scheduler.release.SMALLEST_SLICE", 1)
    ledger = Ledger(redis)
    world = World(ledger, Clock(ledger.now()))
    runs = [world.sign_up(email=f"p{number}@example.org") for number in range(30)]
    loop = Loop(ledger, Schedule(ledger, raw), threading.Event())
    for _ in range(3):
        redis.zrem(ids.OPEN, *(f"{run}-4" for run in runs))
        slices = 0
        while ledger.audit_all():
            loop._audit()
            slices += 1
        assert 1 < slices <= 60 + 1


@pytest.fixture
def functions(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions, with Resend's stand-in and the send function as servers."""
    with (
        sandbox() as box,
        deployed(valkey_server, monkeypatch, RESEND_API_URL=f"{box.url}/resend") as found,
        serving(load("send-email").application) as url,
    ):
        found.set(SEND_FUNCTION_URL=url)
        jobs._pool.cache_clear()
        yield found


def everything(functions: Functions) -> dict[str, Any]:
    """What each function answers that writes, by its status and Retry-After."""
    answers = {
        "christmas-signup": functions.sign_up({"email": "bob@example.org"}),
        "assessment": functions.client("assessment").post("/", json={"email": "bob@example.org"}),
        "send-email": functions.send(f"{ids.enrollment_prefix('christmas', 'ada@example.org')}-1", 1),
        "unsubscribe": functions.client("unsubscribe").post(LINK),
    }
    return {name: (answer.status_code, answer.headers.get("Retry-After")) for name, answer in answers.items()}


def test_functions_answer_503_when_redis_refuses_writes(functions: Functions, redis: Redis, refuse: Refuse) -> None:
    """Nothing is half-done; the same requests succeed afterwards. A full Redis still takes who unsubscribes."""
    assert functions.sign_up().status_code == 202
    before = kept(functions)
    refuse(True)
    full = redis.info("memory")["maxmemory"] == 1
    answers = everything(functions)
    assert answers.pop("unsubscribe")[0] == (200 if full else 503)
    assert all(status == 503 and int(retry_after) > 0 for status, retry_after in answers.values())
    if not full:
        assert kept(functions) == before
    assert functions.contact("bob@example.org") is None
    refuse(False)
    assert {name: status for name, (status, _) in everything(functions).items()} == {
        "christmas-signup": 202,
        "assessment": 202,
        "send-email": 200,
        "unsubscribe": 200,
    }


class _Loading(socketserver.StreamRequestHandler):
    """Answers as a Redis that reads its data after a start."""

    def handle(self) -> None:
        """Greet, and refuse the rest."""
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2).strip().upper())
            greeting = b"%1\r\n+proto\r\n:3\r\n" if words[0] == b"HELLO" else b"+OK\r\n"
            known = words[0] in (b"HELLO", b"AUTH", b"CLIENT", b"SELECT")
            self.wfile.write(greeting if known else b"-LOADING Redis is loading the dataset in memory\r\n")


def test_functions_answer_503_while_redis_loads(valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is still reading its data counts as unavailable."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Loading) as loading:
        loading.daemon_threads = True
        threading.Thread(target=loading.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with deployed(
            valkey_server, monkeypatch, REDIS_URL=f"redis://127.0.0.1:{loading.server_address[1]}/0", REDIS_PASSWORD=""
        ) as found:
            answer = found.sign_up()
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        loading.shutdown()


def test_garbage_on_the_queue_stops_no_worker(functions: Functions, redis: Redis, valkey_server: valkey.Valkey) -> None:
    """A job without its hash, one of a wrong type (RQ's worker ends there and is started again), one of an enrollment
    of a wrong type: the email behind them goes all the same."""
    assert functions.sign_up().status_code == 202
    run = functions.run()
    assert run
    redis.lpush(ids.QUEUE, "christmas-gone-1-1-1")
    redis.set(ids.enrollment_key("christmas-bad-1"), "text")
    redis.set("rq:job:christmas-odd-1-1-1", "a job of a wrong type")
    redis.lpush(ids.QUEUE, "christmas-odd-1-1-1")
    job = "christmas-bad-1-1-1"
    redis.copy(f"rq:job:{run.id}-1-1", f"rq:job:{job}")
    redis.hset(f"rq:job:{job}", "data", str(redis.hget(f"rq:job:{job}", "data")).replace(run.id, "christmas-bad-1"))
    redis.lpush(ids.QUEUE, job)
    with services.connect(services.current_settings(), decode=False) as raw:
        for _ in range(2):
            Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(
                burst=True, logging_level="CRITICAL"
            )
    assert functions.ledger.peek(run.id, 1).state == "sent"
    assert redis.zrange("rq:failed:send", 0, -1) == [job]


def test_an_enrollment_of_the_wrong_type_stops_no_other(ledger: Ledger, clock: Clock) -> None:
    """Neither when steps are swept nor when a batch is filled."""
    world = World(ledger, clock, BATCHES)
    runs = [world.sign_up(email=f"p{number}@example.org") for number in range(3)]
    world.redis.delete(ids.enrollment_key(runs[1]))
    world.redis.set(ids.enrollment_key(runs[1]), "text")
    first = world.next_job()
    assert first and world.sender.send(*first).result == "sent"
    world.redis.delete(ids.QUEUE)
    world.live(hours=1)
    assert [world.states(run)[0] for run in (runs[0], runs[2])] == ["sent", "sent"]
    assert world.redis.zscore(ids.OPEN, f"{runs[1]}-1") is None
