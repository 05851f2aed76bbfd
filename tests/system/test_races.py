"""Races, on real processes: regardless of who is first, and of what is suspended in between, each email arrives once
and a decision holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from redis import Redis

from local import valkey
from shared.core.errors import ActionError
from shared.domain.forms import MeetingEvent
from shared.domain.timing import DAY, HOUR
from shared.intake import meetings
from shared.ledger import ids
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import START
from tests.support import racing
from tests.support.racing import Racetrack
from tests.support.waiting import WITHIN
from tests.support.world import World

MANY = 60


@pytest.fixture
def track(valkey_server: valkey.Valkey, redis: Redis) -> Iterator[Racetrack]:
    """An empty Evergreen on which processes race."""
    racing.SharedClock(redis).set(START)
    yield Racetrack(valkey_server, racing.world_of(redis, racing.Gate(redis, "test", "")))


def send(run: str, step: int = 1) -> Callable[[World], object]:
    """What a worker does with one step; its result is the result's name."""
    return lambda world: world.sender.send(run, step).result


def state(track: Racetrack, run: str, step: int = 1) -> str:
    """A step's state."""
    return track.world.run(run).step(step).state


def crowd(track: Racetrack) -> list[str]:
    """The runs of many people, whose first emails are due and on the schedule, not on the queue."""
    track.actions.stop_sending()
    runs = [track.world.sign_up(email=f"c{number}@example.org") for number in range(MANY)]
    track.actions.start_sending()
    return runs


def test_a_pause_before_the_claim_wins(track: Racetrack) -> None:
    """A worker that is about to claim gets nothing once the pause is acknowledged."""
    run = track.world.sign_up()
    worker = track.start("worker", send(run), before="claim")
    assert track.actions.pause(run) == "paused"
    assert worker.finish() == "parked"
    assert (track.accepted, state(track, run)) == ([], "scheduled")


@pytest.mark.parametrize(("before", "result", "accepted"), [("post", "parked", 0), ("provider", "sent", 1)])
def test_a_pause_races_a_claimed_email(track: Racetrack, before: str, result: str, accepted: int) -> None:
    """Until the last look the pause holds it; what has passed that is on the wire, and the pause holds what comes after
    it."""
    run = track.world.sign_up()
    worker = track.start("worker", send(run), before=before)
    track.actions.pause(run)
    assert worker.finish() == result
    track.clock.advance(seconds=DAY / 1000)
    track.world.work()
    assert track.accepted == [f"{run}-1"] * accepted


def test_simultaneous_pauses_and_claims_agree(track: Racetrack) -> None:
    """One process pauses many runs while another claims their steps: each step is claimed and sent, or still waits."""
    runs = crowd(track)
    start = racing.meeting_point()

    def pause(world: World) -> object:
        actions = EnrollmentActions(world.ledger, world.sender.catalog, world.settings)
        start.wait(WITHIN)
        return [actions.pause(run) for run in runs]

    def work(world: World) -> object:
        start.wait(WITHIN)
        return [world.sender.send(run, 1).result for run in reversed(runs)]

    operator, worker = track.start("operator", pause), track.start("worker", work)
    assert operator.end() == ["paused"] * MANY
    sent = dict(zip(reversed(runs), worker.end(), strict=True))
    assert {run: state(track, run) for run in runs} == {
        run: "sent" if sent[run] == "sent" else "scheduled" for run in runs
    }
    assert sorted(track.accepted) == sorted(f"{run}-1" for run in runs if sent[run] == "sent")


def test_a_resume_meant_for_an_earlier_pause_does_nothing(track: Racetrack) -> None:
    """Between an operator's look and decision, another resumed the run and paused it again: the new pause holds."""
    run = track.world.sign_up()
    track.actions.pause(run)
    slow = track.start("slow", lambda world: _resume(world, run), before="resume")
    track.clock.advance(seconds=10)
    track.actions.resume(run)
    track.clock.advance(seconds=10)
    track.actions.pause(run)
    assert slow.finish() == f"{run} is paused"
    track.world.work()
    assert (track.accepted, track.world.run(run).paused_at) == ([], START + 20_000)


def _resume(world: World, run: str) -> str:
    try:
        return EnrollmentActions(world.ledger, world.sender.catalog, world.settings).resume(run)
    except ActionError as error:
        return str(error)


def test_simultaneous_resumes_and_releases_send_each_email_once(track: Racetrack) -> None:
    """One process resumes many runs whose steps are due while another releases and sends: nothing is lost, nothing
    comes twice."""
    runs = crowd(track)
    for run in runs:
        track.actions.pause(run)
    start = racing.meeting_point()

    def resume(world: World) -> object:
        start.wait(WITHIN)
        return [_resume(world, run) for run in runs]

    def work(world: World) -> object:
        start.wait(WITHIN)
        while world.redis.llen("test:accepted") < MANY:
            world.work()
        return None

    operator, worker = track.start("operator", resume), track.start("worker", work)
    assert operator.end() == ["active"] * MANY
    worker.end()
    track.world.work()
    assert sorted(track.accepted) == sorted(f"{run}-1" for run in runs)


def _booked(track: Racetrack, uid: str, starts: int, replaces: str | None = None) -> str:
    now = track.clock.now
    event = MeetingEvent(
        "booked", f"key-{uid}", uid, now, starts, replaces=replaces, contact={"email": "ada@example.org"}
    )
    meetings.report(event, trigger="calcom-booking", intake=track.world.intake)
    return f"{ids.enrollment_prefix('booking-reminder', f'{uid}:{starts}')}-1"


@pytest.mark.parametrize(
    ("before", "result", "left"),
    [("claim", "skipped", "cancelled"), ("post", "parked", "cancelled"), ("provider", "sent", "sent")],
)
def test_a_reschedule_races_the_sending_of_a_reminder(track: Racetrack, before: str, result: str, left: str) -> None:
    """The old reminder goes out only if it was on the wire before the meeting moved; the new ones go out at their
    times, once."""
    first = _booked(track, "one", START + 2 * DAY)
    track.clock.advance(seconds=DAY / 1000)
    worker = track.start("worker", send(first), before=before)
    second = _booked(track, "two", START + 5 * DAY, replaces="one")
    assert worker.finish() == result
    assert (state(track, first), state(track, first, 2), track.world.run(first).state) == (
        left,
        "cancelled",
        "cancelled",
    )
    for instant in (START + 2 * DAY - HOUR, START + 4 * DAY, START + 5 * DAY - HOUR):
        track.clock.set(instant)
        track.world.work()
    assert track.accepted == [f"{first}-1"] * (left == "sent") + [f"{second}-1", f"{second}-2"]


def _in_doubt(track: Racetrack) -> tuple[str, racing.Racer]:
    """A run whose first step is in doubt because the worker that has its answer sleeps."""
    run = track.world.sign_up()
    worker = track.start("sleeper", send(run), before="answer")
    worker.suspend()
    track.sweep()
    track.fault("conflict")
    track.world.work()
    assert state(track, run) == "in-doubt"
    return run, worker


def test_a_late_answer_before_the_retry(track: Racetrack) -> None:
    """The step is sent by it, and there is nothing to retry."""
    run, worker = _in_doubt(track)
    assert worker.wake() == "sent"
    with pytest.raises(ActionError, match="the step is sent"):
        track.actions.retry(run, 1)
    assert track.accepted == [f"{run}-1"]


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("before", ["", "claim", "post"])
def test_a_late_answer_after_the_retry(track: Racetrack, before: str, anew: bool) -> None:
    """The worker that was about to send it again finds it sent, and does not."""
    run, worker = _in_doubt(track)
    if anew:
        track.clock.advance(seconds=23 * 3600)
    track.actions.retry(run, 1, as_new=anew)
    again = track.start("again", send(run), before=before) if before else None
    assert worker.wake() == "sent"
    if again:
        assert again.finish() in ("already-sent", "parked")
    track.world.work()
    assert (track.accepted, state(track, run)) == ([f"{run}-1"], "sent")


def test_two_schedulers_release_each_step_once(track: Racetrack) -> None:
    """Both at once, without a lock between them."""
    runs = crowd(track)
    start = racing.meeting_point()

    def release(world: World) -> object:
        start.wait(WITHIN)
        return sum(world.ledger.release(1)[0] for _ in range(2 * MANY))

    racers = [track.start(name, release) for name in ("one", "two")]
    assert sum(racer.end() for racer in racers) == MANY
    queue = cast(list[str], track.world.redis.lrange(ids.QUEUE, 0, -1))
    assert sorted(ids.parse_job_id(job) for job in queue) == sorted((run, 1) for run in runs)


def test_two_workers_on_one_job_send_one_email(track: Racetrack) -> None:
    """A job that was delivered twice, to two workers at the same instant."""
    runs = crowd(track)
    start = racing.meeting_point()

    def work(world: World) -> object:
        results = []
        for run in runs:
            start.wait(WITHIN)
            results.append(world.sender.send(run, 1).result)
        return results

    first, second = track.start("one", work), track.start("two", work)
    results = [*zip(first.end(), second.end(), strict=True)]
    assert sorted(track.accepted) == sorted(f"{run}-1" for run in runs)
    assert all(set(pair) <= {"sent", "already-sent", "parked"} and pair.count("sent") == 1 for pair in results)


def test_a_worker_that_wakes_after_its_lease_does_not_post(track: Racetrack) -> None:
    """Another has sent the email by then."""
    run = track.world.sign_up()
    sleeper = track.start("sleeper", send(run), before="post")
    sleeper.suspend()
    track.sweep()
    track.world.work()
    assert state(track, run) == "sent"
    assert sleeper.wake() == "parked"
    assert track.accepted == [f"{run}-1"]


def test_a_worker_that_slept_after_its_last_look_posts_the_same_request(track: Racetrack) -> None:
    """It has passed the last look, and so has its successor: both post the same request, and the provider takes it
    once."""
    run = track.world.sign_up()
    sleeper = track.start("sleeper", send(run), before="provider")
    sleeper.suspend()
    track.sweep()
    track.world.work()
    assert state(track, run) == "sent"
    assert sleeper.wake() == "sent"
    assert track.accepted == [f"{run}-1"]


def test_a_worker_that_wakes_after_its_lease_and_a_pause_posts_nothing(track: Racetrack) -> None:
    """The step waits for the resumption, and goes out then."""
    run = track.world.sign_up()
    sleeper = track.start("sleeper", send(run), before="post")
    sleeper.suspend()
    track.actions.pause(run)
    track.sweep()
    track.world.work()
    assert sleeper.wake() == "parked"
    assert (track.accepted, state(track, run)) == ([], "scheduled")
    track.actions.resume(run)
    track.world.work()
    assert track.accepted == [f"{run}-1"]
