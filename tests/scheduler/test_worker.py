"""The worker and its job, on RQ and Valkey as they are, with a send function that answers what a test says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from redis import Redis
from rq import Queue
from rq.executions import Execution
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.worker_registration import clean_worker_registry

from local.valkey import Valkey
from scheduler import jobs
from scheduler.rq_schedule import QUEUE, Job
from scheduler.worker import MAINTENANCE, NOTIFY, WATCHFUL_TTL, WatchfulWorker, Worker
from shared.core.errors import StepFailed
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.health import read_health
from shared.ledger.version import VERSION
from tests.support.refusing import Refuse, forbidding
from tests.support.send_function import SendFunction, calling, serving
from tests.support.waiting import until
from tests.support.world import SETTINGS, World


@pytest.fixture
def send_function() -> Iterator[SendFunction]:
    with serving() as function:
        yield function


@pytest.fixture
def world(
    valkey_server: Valkey, redis: Redis, send_function: SendFunction, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world whose worker process is this one."""
    with calling(send_function, valkey_server, monkeypatch) as world:
        yield world


def work(raw: Redis) -> Queue:
    """Let a real worker empty the queue."""
    queue = Queue(QUEUE, connection=raw, job_class=Job)
    Worker([queue], connection=raw, job_class=Job).work(burst=True, logging_level="CRITICAL")
    return queue


def test_a_job_asks_the_send_function_for_its_step(world: World, raw: Redis, send_function: SendFunction) -> None:
    """The token and the request id of the webhook go along, and nothing of the job stays in Redis."""
    run = world.sign_up()
    work(raw)
    assert send_function.asked == [({"enrollment": run, "step": 1}, f"Bearer {SETTINGS.internal_token}", "request-1")]
    assert raw.keys(f"rq:job:{run}-1-*") == []


def test_a_job_with_nothing_to_do_makes_no_request(world: World, raw: Redis, send_function: SendFunction) -> None:
    """A look at a step that is not due, or ended, or never was, saves the trip."""
    run = world.sign_up()
    world.ledger.skip(run, 1, "by hand")
    for step in (1, 2, 9):
        jobs.send_step(run, step)
    assert send_function.asked == []


def test_a_worker_that_slept_does_not_fail_the_step(world: World, raw: Redis, send_function: SendFunction) -> None:
    """RQ's alarm rings as the machine wakes, before the answer is read: the step is looked at again, and the failed
    list stays empty."""
    send_function.meanwhile = lambda: os.kill(os.getpid(), signal.SIGALRM)
    run = world.sign_up()
    queue = work(raw)
    assert FailedJobRegistry(queue=queue).get_job_ids() == []
    assert world.redis.zscore(ids.OPEN, f"{run}-1") is not None


def test_a_newer_ledger_is_left_to_its_release(world: World, raw: Redis, send_function: SendFunction) -> None:
    """An older worker calls nothing, decides nothing, and puts nothing on the failed list, even for a step that has
    failed there."""
    run = world.sign_up()
    world.redis.hset(ids.enrollment_key(run), "2.state", "failed")
    for queue in ids.QUEUES:
        raw.delete(f"rq:queue:{queue}")
    world.redis.set(ids.VERSION, VERSION + 1)
    before = {key: world.redis.dump(key) for key in world.redis.scan_iter()}
    jobs.send_step(run, 1)
    jobs.send_step(run, 2)
    jobs.record()
    jobs.notify()
    for _ in range(3):
        jobs.look_around()  # the silent scheduler would raise an alert on the second
    assert send_function.asked == []
    assert {key: world.redis.dump(key) for key in world.redis.scan_iter()} == before
    world.redis.set(ids.VERSION, VERSION)
    jobs.send_step(run, 1)
    assert [asked for asked, _, _ in send_function.asked] == [{"enrollment": run, "step": 1}]


@pytest.mark.parametrize("result", ["failed", "in-doubt"])
def test_a_step_that_ended_badly_is_in_rqs_failed_list(
    world: World, raw: Redis, send_function: SendFunction, result: str
) -> None:
    """RQ's failed list is what a person must look at."""
    run = world.sign_up()
    send_function.result = result
    queue = work(raw)
    (failed,) = FailedJobRegistry(queue=queue).get_job_ids()
    assert failed == f"{run}-1-1"
    ended = Job.fetch(failed, connection=raw).latest_result()
    assert ended is not None and f"step 1 is {result}: so it is" in str(ended.exc_string)


def test_a_job_whose_step_ended_badly_elsewhere_raises(world: World, send_function: SendFunction) -> None:
    """Another job's batch may have ended the step."""
    run = world.sign_up()
    world.redis.hset(ids.enrollment_key(run), mapping={"1.state": "failed", "1.why": "refused"})
    with pytest.raises(StepFailed, match="step 1 is failed: refused"):
        jobs.send_step(run, 1)
    assert send_function.asked == []


@pytest.mark.parametrize("status", [500, 503])
def test_an_unavailable_send_function_is_retried_later(
    world: World, raw: Redis, send_function: SendFunction, status: int
) -> None:
    """The ledger looks again in five seconds; the job itself has done its duty."""
    run = world.sign_up()
    send_function.status = status
    queue = work(raw)
    assert FailedJobRegistry(queue=queue).count == 0
    score = world.redis.zscore(ids.SCHEDULED, f"{run}-1-2")
    assert isinstance(score, float) and score == pytest.approx(world.ledger.now() / 1000 + 5, abs=2)


def test_no_answer_is_retried_later(world: World, raw: Redis, send_function: SendFunction) -> None:
    """A send function that is not there loses nothing."""
    run = world.sign_up()
    send_function.server.shutdown()
    send_function.server.server_close()
    work(raw)
    assert world.redis.zscore(ids.SCHEDULED, f"{run}-1-2") is not None


def test_a_rate_limited_answer_leaves_the_next_look_to_the_ledger(
    world: World, raw: Redis, send_function: SendFunction
) -> None:
    """The send function has put the step back on the schedule itself."""
    run = world.sign_up()
    send_function.status = 429
    work(raw)
    assert world.redis.zscore(ids.SCHEDULED, f"{run}-1-2") is None


def test_the_jobs_of_a_dead_worker_are_forgotten(world: World, raw: Redis) -> None:
    """A job whose worker was killed is not a failure: the sweeper finds its step again."""
    run = world.sign_up()
    queue = Queue(QUEUE, connection=raw, job_class=Job)
    job = queue.jobs[0]
    raw.delete(queue.key)
    job.save()
    started = StartedJobRegistry(queue=queue)
    raw.zadd(started.key, {Execution(id="x", job_id=job.id, connection=raw).composite_key: time.time() - 1})
    raw.rpush(queue.intermediate_queue_key, "stuck-1-1-1")
    raw.set("rq:job:stuck-1-1-1", "a hash of a wrong type ends no worker")
    raw.set(queue.intermediate_queue.get_first_seen_key("stuck-1-1-1"), time.time() - 61)
    Worker([queue], connection=raw, job_class=Job).clean_registries()
    assert FailedJobRegistry(queue=queue).count == 0
    assert raw.zcard(started.key) == 0
    assert raw.llen(queue.intermediate_queue_key) == 0
    assert raw.exists(f"rq:job:{run}-1-1") == 0


def watch(raw: Redis, **options: Any) -> Queue:
    """Let a real worker alert the owner, with only the log as a channel."""
    queue = Queue(NOTIFY, connection=raw, job_class=Job)
    WatchfulWorker([queue], connection=raw, job_class=Job, **options).work(
        burst=not options, logging_level="CRITICAL", max_idle_time=3
    )
    return queue


def test_a_notify_job_sends_the_alerts(world: World, raw: Redis) -> None:
    """Waiting alerts are sent, and nothing of the job stays."""
    Alerts(world.ledger).report("failed", "x")
    world.redis.set(ids.TICK, world.ledger.now())
    queue = watch(raw)
    assert Alerts(world.ledger).take() is None
    assert (queue.count, FailedJobRegistry(queue=queue).count, raw.keys("rq:job:notify-*")) == (0, 0, [])


def test_an_idle_worker_sends_alerts_that_become_due(world: World, raw: Redis) -> None:
    """No job is pushed when a notice's time has come: here, a second after the worker that was sending it died."""
    Alerts(world.ledger).report("failed", "x")
    raw.delete("rq:queue:notify")
    assert Alerts(world.ledger, lease=1).take() is not None
    world.redis.set(ids.TICK, world.ledger.now())
    watch(raw, worker_ttl=16, maintenance_interval=0)
    assert world.redis.zcard("eg:notices") == 0


def test_an_idle_worker_looks_often_enough(raw: Redis) -> None:
    """It waits for a job no longer than a third of the time between two looks."""
    worker = WatchfulWorker([Queue(NOTIFY, connection=raw)], connection=raw, worker_ttl=WATCHFUL_TTL)
    assert worker.dequeue_timeout <= MAINTENANCE / 3


def refused_once(
    monkeypatch: pytest.MonkeyPatch, refuse: Refuse, then: Callable[[], object] = lambda: None
) -> list[float]:
    """A worker that waits finds Redis taking writes again after its first second; returns the seconds that it
    waited."""
    waited: list[float] = []

    def wait(length: float) -> None:
        waited.append(length)
        then()
        refuse(False)

    monkeypatch.setattr("scheduler.worker.sleep", wait)
    return waited


class TestRedisThatRefuses:
    """Full, a replica, without replicas or a disk: the worker waits, and says so once when it begins and once when it
    is over."""

    @pytest.fixture
    def said(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> Iterator[Callable[[], list[str]]]:
        """What the worker has logged about it; a traceback fails the test."""
        logger = structlog.testing.CapturingLogger()
        monkeypatch.setattr("scheduler.worker._logger", logger)
        with caplog.at_level("ERROR"):
            yield lambda: [call.args[0] for call in logger.calls]
        assert [record.getMessage() for record in caplog.records if record.exc_info] == []
        assert "Traceback" not in caplog.text

    def test_a_worker_waits_at_its_start(
        self, world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch, refuse: Refuse, said: Callable[[], list[str]]
    ) -> None:
        """It begins when Redis takes that, and does its work."""
        run = world.sign_up()
        waited = refused_once(monkeypatch, refuse)
        refuse(True)
        work(raw)
        assert waited == [Worker.max_connection_wait_time]
        assert said() == ["redis.unavailable", "redis.back"]
        assert raw.llen(ids.QUEUE) == 0 and raw.keys(f"rq:job:{run}-1-*") == []

    def test_a_missing_right_is_logged_once(
        self, world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
    ) -> None:
        """Redis's user (ACL) lacks a command that each job needs: nothing is on the failed list; each email waits."""
        monkeypatch.setattr(Worker, "max_connection_wait_time", 0.01)
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(3)]
        with forbidding(world.redis, "hmget"):
            queue = work(raw)
        assert said() == ["redis.unavailable"]
        assert FailedJobRegistry(queue=queue).count == 0
        assert [world.states(run)[0] for run in runs] == ["scheduled"] * 3

    def test_a_worker_waits_while_it_has_a_job(
        self,
        world: World,
        raw: Redis,
        send_function: SendFunction,
        monkeypatch: pytest.MonkeyPatch,
        refuse: Refuse,
        said: Callable[[], list[str]],
    ) -> None:
        """What it cannot write down of a job is left, nothing is on the failed list, and it takes the next job."""
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(2)]
        refused_once(monkeypatch, refuse)
        send_function.meanwhile = lambda: refuse(len(send_function.asked) == 1)
        queue = work(raw)
        assert [asked["enrollment"] for asked, _, _ in send_function.asked] == runs
        assert said() == ["redis.unavailable", "redis.back"]
        assert FailedJobRegistry(queue=queue).count == 0

    def test_a_worker_waits_between_taking_a_job_and_doing_it(
        self,
        world: World,
        raw: Redis,
        send_function: SendFunction,
        monkeypatch: pytest.MonkeyPatch,
        refuse: Refuse,
        said: Callable[[], list[str]],
    ) -> None:
        """The job is lost, and the ledger still looks at its step."""
        run = world.sign_up()
        refused_once(monkeypatch, refuse)
        reorder = Worker.reorder_queues

        def refuse_now(worker: Worker, reference_queue: Queue) -> None:
            refuse(True)
            reorder(worker, reference_queue)

        monkeypatch.setattr(Worker, "reorder_queues", refuse_now)
        queue = work(raw)
        assert (send_function.asked, said()) == ([], ["redis.unavailable", "redis.back"])
        assert FailedJobRegistry(queue=queue).count == 0
        assert world.redis.zscore(ids.OPEN, f"{run}-1") is not None

    def test_a_job_that_cannot_be_put_off_is_not_a_failure(
        self,
        world: World,
        raw: Redis,
        send_function: SendFunction,
        monkeypatch: pytest.MonkeyPatch,
        refuse: Refuse,
        said: Callable[[], list[str]],
    ) -> None:
        """A job that cannot put its step off is left."""
        world.sign_up()
        refused_once(monkeypatch, refuse)
        send_function.status, send_function.meanwhile = 503, lambda: refuse(True)
        queue = work(raw)
        assert said()[-3:] == ["job.left", "redis.unavailable", "redis.back"]
        assert FailedJobRegistry(queue=queue).count == 0

    def test_a_failed_job_is_still_on_the_failed_list(
        self, world: World, raw: Redis, send_function: SendFunction, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
    ) -> None:
        """RQ writes it down once and logs a refusal; so the worker waits before it."""
        run = world.sign_up()
        refused_once(monkeypatch, refuse)
        send_function.result, send_function.meanwhile = "failed", lambda: refuse(True)
        queue = work(raw)
        assert FailedJobRegistry(queue=queue).get_job_ids() == [f"{run}-1-1"]

    def test_a_worker_that_rq_has_forgotten_registers_again(
        self, world: World, raw: Redis, send_function: SendFunction, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
    ) -> None:
        """RQ forgets a worker that it has not heard from for two minutes; health would miss it for good."""
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(2)]
        seen: list[int] = []

        def forget() -> None:
            refuse(False)
            raw.delete(*raw.keys("rq:worker:*"))
            clean_worker_registry(Queue(QUEUE, connection=raw))

        def meanwhile() -> None:
            seen.append(read_health(world.ledger).workers["send"])
            refuse(len(seen) == 1)

        refused_once(monkeypatch, refuse, then=forget)
        send_function.meanwhile = meanwhile
        work(raw)
        assert (len(runs), seen) == (2, [1, 1])

    @pytest.mark.parametrize("has_job", [False, True])
    def test_a_waiting_worker_stops_when_told_to(
        self,
        world: World,
        raw: Redis,
        send_function: SendFunction,
        monkeypatch: pytest.MonkeyPatch,
        said: Callable[[], list[str]],
        has_job: bool,
    ) -> None:
        """Waiting for Redis keeps no worker from its end, with a job or without."""
        if has_job:
            world.sign_up()
        monkeypatch.setattr("scheduler.worker.sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
        queue = Queue(QUEUE, connection=raw, job_class=Job)
        worker = Worker([queue], connection=raw, job_class=Job)
        send_function.meanwhile = lambda: raw.config_set("maxmemory", 1)
        if not has_job:
            monkeypatch.setattr(worker, "procline", lambda _: raw.config_set("maxmemory", 1))
        try:
            worker.work(logging_level="WARNING")
        finally:
            raw.config_set("maxmemory", 0)
        assert said()[0] == "redis.unavailable" and "redis.back" not in said()

    def test_a_worker_that_sends_alerts_waits(
        self, world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch, refuse: Refuse, said: Callable[[], list[str]]
    ) -> None:
        """While it looks around by itself; waiting alerts are sent the next time, and by a full Redis at once."""
        Alerts(world.ledger).report("failed", "x")
        raw.delete("rq:queue:notify")
        world.redis.set(ids.TICK, world.ledger.now())
        refused_once(monkeypatch, refuse)
        look, looks, full = jobs.look_around, 0, False

        def look_around() -> None:
            nonlocal looks, full
            looks += 1
            refuse(looks == 1)
            full = full or raw.info("memory")["maxmemory"] == 1
            look()

        monkeypatch.setattr(jobs, "look_around", look_around)
        watch(raw)
        assert world.redis.zcard("eg:notices") == (0 if full else 1)
        watch(raw)
        assert world.redis.zcard("eg:notices") == 0
        assert said() == ["redis.unavailable", "redis.back"]


def test_a_full_ledger_is_told_by_the_worker_that_waits(
    world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ cannot work on a full Redis, and so the worker waits; alerts are sent all the same."""
    Alerts(world.ledger).report("failed", "x")
    waiting: list[int] = []

    def sleep(_: float) -> None:
        waiting.append(raw.zcard("eg:notices"))
        if len(waiting) > 1:
            raw.config_set("maxmemory", 0)

    monkeypatch.setattr("scheduler.worker.sleep", sleep)
    raw.config_set("maxmemory", 1)
    try:
        watch(raw)
    finally:
        raw.config_set("maxmemory", 0)
    assert waiting == [1, 0]
    assert raw.hget("eg:alert:full", "quiet") is not None


def test_an_idle_worker_survives_its_redis_becoming_a_replica(raw: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """Redis then interrupts each wait for a job, with an error of its own."""

    def demote() -> None:
        until(lambda: raw.info("clients")["blocked_clients"] > 0)
        raw.replicaof("127.0.0.1", "9")
        try:
            until(lambda: raw.info("clients")["blocked_clients"] == 0)
        finally:
            raw.replicaof("NO", "ONE")

    thread = threading.Thread(target=demote)
    thread.start()
    with caplog.at_level("ERROR"):
        Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(
            logging_level="ERROR", max_idle_time=3
        )
    thread.join()
    assert "unhandled exception" not in caplog.text


def test_a_worker_that_waits_at_its_start_can_be_stopped(raw: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does not deliver a signal to a first process without a handler for it."""
    found: list[object] = []

    def wait(_: float) -> None:
        found.append(signal.getsignal(signal.SIGTERM))
        raw.config_set("maxmemory", 0)

    monkeypatch.setattr("scheduler.worker.sleep", wait)
    raw.config_set("maxmemory", 1)
    Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(
        burst=True, logging_level="CRITICAL"
    )
    assert found and found[0] is not signal.SIG_DFL
