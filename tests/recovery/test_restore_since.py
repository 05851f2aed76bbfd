"""Restoring what came in since the loss: who may enter again, what breaks off, what waits for the fence, and what the
report says."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.ledger import ids
from shared.ledger.outbox import Outbox
from shared.operations.notion_pause import NotionPause
from shared.recovery.fence import UNKNOWN
from tests.support.lost_history import (
    ADDRESS,
    BUSOS,
    CHRISTMAS,
    CONTACT,
    FIVE_DAY,
    POSTCALL,
    Story,
    another_campaign,
    booking,
    call,
    client,
    form_again,
    live_through,
    nothing,
    only_tracked,
    outcome,
    paused,
    under_way,
)
from tests.support.lost_ledger import Unlisted, at


def reported(story: Story) -> None:
    """A call ended with a maybe; two of three emails are out."""
    call(story)
    story.pass_hours(24 * 4)


def reported_and_over(story: Story) -> None:
    """The same, with all emails out."""
    call(story)
    story.pass_hours(24 * 8)


def reported_twice(story: Story) -> None:
    """In the middle of the second time."""
    reported_and_over(story)
    reported(story)


def reported_twice_and_over(story: Story) -> None:
    """After the second time."""
    reported_and_over(story)
    reported_and_over(story)


def call_cancelled_and_again(story: Story) -> None:
    """The operator ends what a report began, or found, and reports her once more."""
    call(story)
    for run in story.open():
        story.decides("cancel", run)
    call(story)


def call_and_unsubscribe(story: Story) -> None:
    """She is reported, and wants no more."""
    call(story)
    story.lost.ledger.suppress(CONTACT, "unsubscribed")


def client_and_call(story: Story) -> None:
    """She becomes a client, and some time later another call ends with a maybe."""
    client(story)
    story.clock.advance(hours=1)
    call(story)


def call_and_pause(story: Story) -> None:
    """The operator pauses all that is open."""
    call(story)
    for run in story.open():
        story.decides("pause", run)


@pytest.mark.parametrize("after", [nothing, call, call_and_pause, client_and_call, booking, call_and_unsubscribe])
@pytest.mark.parametrize("before", [reported, reported_and_over, reported_twice, reported_twice_and_over])
def test_a_repeat_enrollment_gets_a_number_of_its_own(
    new_story: Callable[[], Story], before: Callable[[Story], None], after: Callable[[Story], None]
) -> None:
    """All the emails of a new run go out, under ids that none had before; those of a run that was lost continue."""
    never_lost = outcome(live_through(new_story(), before, after, loses=False))
    story = live_through(new_story(), before, after, loses=True)
    story.restore()
    assert outcome(story) == never_lost
    assert max(story.lost.sent().values(), default=1) == 1


@pytest.mark.parametrize("before", [reported, reported_and_over, reported_twice, reported_twice_and_over])
def test_the_last_of_several_new_enrollments_continues(
    new_story: Callable[[], Story], before: Callable[[Story], None]
) -> None:
    """The operator had ended the first of them, and with it the lost enrollment."""
    story = new_story()
    before(story)
    known = story.lost.sent()
    story.lose()
    call_cancelled_and_again(story)
    assert story.restore()["restored"] == 0
    (again,) = story.open()
    story.pass_hours(24 * 15)
    assert story.lost.sent() == known | {f"{again}-{step}": 1 for step in (1, 2, 3)}


def test_numbering_continues_from_the_email_log_too(new_story: Callable[[], Story]) -> None:
    """The row of the second run is gone from the tracker; its emails are not."""
    story = new_story()
    reported_twice_and_over(story)
    story.lost.record()
    (row,) = (row for row in story.lost.rows("tracker") if row["Enrollment ID"] == f"{POSTCALL}-2")
    story.lost.box.notion("PATCH", f"/pages/{row['id']}", json={"in_trash": True}).raise_for_status()
    story.lose()
    call(story)
    assert story.restore() == {"marked": 1, "numbered": 1}
    story.pass_hours(24 * 8)
    assert story.lost.sent() == {f"{POSTCALL}-{run}-{step}": 1 for run in (1, 2, 3) for step in (1, 2, 3)}
    story.lost.record()
    assert {row["Enrollment ID"]: row["Status"] for row in story.lost.rows("tracker")} == {
        f"{POSTCALL}-1": "Completed",
        f"{POSTCALL}-3": "Completed",
    }


@pytest.mark.parametrize("then_taken_back", [False, True])
@pytest.mark.parametrize("seen_again", [False, True], ids=["", "reported again"])
def test_a_missed_meeting(new_story: Callable[[], Story], seen_again: bool, then_taken_back: bool) -> None:
    """The calendar says again that she did not come, or takes that back: also where this ledger knows nothing about
    it."""

    def before(story: Story) -> None:
        story.calendar("no-show", "calendly-noshow")
        story.pass_hours(30)

    def after(story: Story) -> None:
        if seen_again:
            story.calendar("no-show", "calendly-noshow")
        if then_taken_back:
            story.clock.advance(seconds=60)
            story.calendar("no-show-undone", "calendly-noshow")

    never_lost = outcome(live_through(new_story(), before, after, loses=False))
    story = live_through(new_story(), before, after, loses=True)
    story.restore()
    assert outcome(story) == never_lost
    assert story.lost.sent().total() == (2 if then_taken_back else 3)


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize("after", [form_again, another_campaign])
def test_an_email_in_doubt_stays_in_doubt(
    new_story: Callable[[], Story], after: Callable[[Story], None], listed: bool
) -> None:
    """Also one that the restore puts in doubt; only a person sends it."""
    story = live_through(new_story(), under_way, after, loses=True)
    story.pass_hours(48)
    story.restore(lister=None if listed else Unlisted())
    assert story.states()[f"{CHRISTMAS}-1"][3] == ("sent" if listed else "in-doubt")
    story.pass_hours(24 * 15)
    assert story.lost.sent() == {f"{CHRISTMAS}-1-{step}": 1 for step in range(1, 8) if listed or step != 3}


def test_consent_after_the_loss_does_not_lift_an_unsubscribe(new_story: Callable[[], Story]) -> None:
    """Someone other than the person who unsubscribed may post a form; this ledger cannot tell."""
    story = new_story()
    under_way(story)
    story.lost.ledger.suppress(CONTACT, "unsubscribed")
    story.lose()
    story.signs_up(consent=True)
    story.signs_up("assessment", consent=True)
    assert story.restore() == {"marked": 1, "thrown": 1}
    assert story.open() == set()
    story.pass_hours(24 * 14)
    assert story.lost.sent().total() == 2
    story.lost.record()
    assert [row["Subscription"] for row in story.lost.rows("contacts")] == ["unsubscribed"]


@pytest.mark.parametrize("at", range(1, 7))
def test_an_interrupted_restore_can_be_run_again(
    new_story: Callable[[], Story], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Wherever it was interrupted, and even if more came in since, the result is the same."""
    story = new_story()
    under_way(story)
    reported_and_over(story)
    story.lost.person(1)
    story.lose()
    story.signs_up("assessment")
    story.signs_up()
    call(story)
    story.lost.person(1)
    decide, left = story.lost.ledger._decide, [at]

    def breaks(script: str, *rest: Any) -> Any:
        left[0] -= script == "restore"
        if not left[0]:
            raise ConnectionError
        return decide(script, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(story.lost.ledger, "_decide", breaks)
        with contextlib.suppress(ConnectionError):
            story.lost.restorer().restore()
    story.signs_up()
    story.signs_up("assessment")
    call(story)
    story.lost.person(1)
    story.restore()
    again = ids.enrollment_prefix("christmas", "person1@example.org") + "-1"
    assert story.open() == {f"{CHRISTMAS}-1", f"{POSTCALL}-2", again}
    story.pass_hours(24 * 15)
    sent = {f"{run}-{step}": 1 for run in (f"{CHRISTMAS}-1", again) for step in range(1, 8)}
    assert story.lost.sent() == sent | {f"{POSTCALL}-{run}-{step}": 1 for run in (1, 2) for step in (1, 2, 3)}
    assert story.lost.restorer().restore().runs["thrown"] == 0


def test_a_discarded_enrollment_leaves_nothing_behind(new_story: Callable[[], Story]) -> None:
    """No wake-up, list, count, group or row; and a person who is put back has one of each."""
    story = new_story()
    under_way(story)
    story.lose()
    story.signs_up("assessment")
    story.decides("pause", f"{BUSOS}-1")
    story.restore()
    redis = story.lost.ledger.redis
    assert [key for key in redis.scan_iter() if BUSOS in key] == []
    listed = [
        key
        for key in redis.scan_iter()
        if redis.type(key) == "zset" and any(BUSOS in str(name) for name in redis.zrange(key, 0, -1))
    ]
    assert listed == []
    assert redis.hgetall("eg:runs") == {CHRISTMAS: "1"}
    assert redis.smembers(f"eg:enrollments:{CONTACT}") == {f"{CHRISTMAS}-1"}
    assert redis.hget("eg:tally:busos", "enrolled") == "0"
    assert Outbox(story.lost.ledger).pending() == {f"contact:{CONTACT}", f"enrollment:{CHRISTMAS}-1"}
    assert story.world.run(f"{CHRISTMAS}-1").state == "paused"


def test_an_enrollment_made_after_a_fresh_start_is_kept(new_story: Callable[[], Story]) -> None:
    """After `evergreen fence --fresh` new enrollments are intended: a restore leaves them alone, even if the
    fence is lost again."""
    story = new_story()
    under_way(story)
    story.lose()
    story.lost.fence.claim()
    story.signs_up()
    story.lost.ledger.redis.hset(ids.FENCE, "server", "of-the-time-before")
    before = story.states()
    assert story.restore() == {"exists": 1}
    assert story.states() == before


def test_the_report_says_what_happened_to_each_enrollment(new_story: Callable[[], Story]) -> None:
    """What replaces a new one, what had ended, what starts under a new number, and what is
    discarded."""
    story = new_story()
    under_way(story)
    reported_and_over(story)
    story.lose()
    story.signs_up("assessment")
    call(story)
    report = story.lost.restorer().restore()
    assert report.runs == {"restored": 1, "marked": 1, "thrown": 1, "numbered": 1}
    assert [(one.row, one.why) for one in report.thrown] == [(f"{BUSOS}-1", f"{CHRISTMAS}-1 replaces it")]
    assert [(one.row, one.why) for one in report.numbered] == [
        (f"{POSTCALL}-2", f"it started as {POSTCALL}-1, an id that was used before the loss")
    ]


def test_a_row_is_not_overwritten_before_it_is_read(new_story: Callable[[], Story]) -> None:
    """Updates for Notion wait for the fence, and are written then; nothing is lost, and health says only that."""
    story = new_story()
    under_way(story)
    story.decides("pause", f"{CHRISTMAS}-1")
    story.lose()
    (row,) = story.lost.rows("tracker")
    story.signs_up(business_name="Analytical Engines")
    waiting = Outbox(story.lost.ledger).pending()
    assert story.lost.recorder.drain(60) == 0
    assert (Outbox(story.lost.ledger).pending(), story.lost.rows("tracker")) == (waiting, [row])
    story.restore()
    story.lost.record()
    (after,) = story.lost.rows("tracker")
    assert (after["id"], after["Status"], after["Email 2 Sent"]) == (row["id"], "Paused", row["Email 2 Sent"])
    assert [person["Business Name"] for person in story.lost.rows("contacts")] == ["Analytical Engines"]
    assert Outbox(story.lost.ledger).depth() == 0


def test_a_recorder_waits_for_the_fence(new_story: Callable[[], Story]) -> None:
    """Right after the loss, no process has yet checked whether this copy may send."""
    story = new_story()
    under_way(story)
    story.lost.record()
    story.lost.lose()
    story.world.sign_up()
    recorder = dataclasses.replace(story.lost.recorder, fenced=True)
    assert recorder.drain(60) == 0
    story.lost.fence.claim()
    assert recorder.drain(60) == 2


def test_a_new_sign_up_does_not_hide_that_the_ledger_was_lost(new_story: Callable[[], Story]) -> None:
    """The only person of the tracker was here before the scheduler looked: it still sees that the ledger was lost."""
    story = new_story()
    under_way(story)
    story.lost.record()
    story.lost.lose()
    story.world.sign_up()
    story.lost.fence.poll()
    assert story.lost.ledger.redis.hget(ids.FENCE, "why") == UNKNOWN
    assert story.restore() == {"restored": 1, "thrown": 1}


def test_a_pause_tick_waits_for_the_restore(new_story: Callable[[], Story]) -> None:
    """It is the lost enrollment's, and pauses it; cleared before the restore, it pauses nothing."""
    story = new_story()
    under_way(story)
    story.lose()
    story.signs_up()
    page = story.lost.rows("tracker")[0]["id"]
    ticks = NotionPause(story.lost.ledger, story.actions, story.lost.settings, story.lost.notion)
    story.lost.change(page, Pause={"checkbox": True})
    assert (ticks.poll(), story.world.run(f"{CHRISTMAS}-1").state) == (0, "active")
    story.lost.change(page, Pause={"checkbox": False})
    assert (ticks.poll(), story.restore()) == (0, {"restored": 1, "thrown": 1})
    story.lost.change(page, Pause={"checkbox": True})
    assert (ticks.poll(), story.world.run(f"{CHRISTMAS}-1").state) == (1, "paused")


def test_a_booking_reported_after_the_restore_ends_an_earlier_enrollment(new_story: Callable[[], Story]) -> None:
    """Even though its anchor was moved past the booking, which the calendar reports only now."""
    story = new_story()
    paused(story)
    story.lost.record()
    booked_at = story.clock.now
    story.pass_hours(48)
    story.decides("resume", f"{CHRISTMAS}-1")
    story.lose()
    story.restore()
    assert story.world.run(f"{CHRISTMAS}-1").anchor > booked_at
    story.calendar("booked", at=booked_at)
    assert story.world.run(f"{CHRISTMAS}-1").state == "exited"


def test_a_dry_run_anticipates_the_fence(new_story: Callable[[], Story]) -> None:
    """Before any scheduler has looked, the fence is not on; the restore puts it on."""
    story = new_story()
    under_way(story)
    reported_and_over(story)
    story.lost.record()
    story.lost.lose()
    story.world.sign_up()
    before = story.states()
    dry = story.lost.restorer().restore(dry=True)
    assert (dry.runs, story.states()) == ({"restored": 1, "marked": 1, "thrown": 1}, before)
    assert story.lost.restorer().restore().as_dict == dry.as_dict | {"dry": False}


def test_only_one_of_two_lost_enrollments_in_a_group_continues(new_story: Callable[[], Story]) -> None:
    """The earlier one, as without a new sign-up; if that one has since ended, the other."""
    for cancels in (False, True):
        story = new_story()
        under_way(story)
        story.lost.record()
        name, campaign = {"title": [{"text": {"content": "Ada"}}]}, {"select": {"name": "BusinessX Canada"}}
        ident = {"rich_text": [{"text": {"content": f"{BUSOS}-1"}}]}
        row = {
            "Email": {"email": ADDRESS},
            "Name": name,
            "Campaign": campaign,
            "Enrollment_ID": ident,
            "Anchor": at(29),
        }
        story.lost.write("tracker", **row)
        story.lose()
        story.signs_up("christmas-assessment")
        if cancels:
            story.decides("cancel", f"{FIVE_DAY}-1")
            story.signs_up()
            story.decides("cancel", f"{CHRISTMAS}-1")
        runs = story.restore()
        one, other = (f"{BUSOS}-1", "ended") if cancels else (f"{CHRISTMAS}-1", "blocked")
        assert (story.open(), runs["restored"], runs[other], runs["thrown"]) == ({one}, 1, 1, 1)


def test_a_row_from_an_earlier_build_counts_too(new_story: Callable[[], Story]) -> None:
    """It has no Enrollment ID; a person who signs up again before the take-over continues after the last mark, in the
    same row."""
    story = new_story()
    name, campaign = {"title": [{"text": {"content": "Ada"}}]}, {"select": {"name": "Christmas 2025"}}
    marks = {"Email_1_Sent": at(-30), "Email_2_Sent": at(-6)}
    page = story.lost.write("tracker", Email={"email": ADDRESS}, Name=name, Campaign=campaign, **marks)
    story.lost.fence.poll()
    story.signs_up()
    assert story.restore() == {"restored": 1, "thrown": 1}
    story.pass_hours(24 * 15)
    assert story.lost.sent() == {f"{CHRISTMAS}-1-{step}": 1 for step in range(3, 8)}
    story.lost.record()
    assert [(row["id"], row["Status"]) for row in story.lost.rows("tracker")] == [(page, "Completed")]


def test_a_tracking_row_becomes_the_new_enrollments_row(new_story: Callable[[], Story]) -> None:
    """A person who gave only an address before the loss, and the assessment after it, has one row."""
    story = new_story()
    only_tracked(story)
    story.lose()
    (row,) = story.lost.rows("tracker")
    story.signs_up()
    assert story.restore() == {"exists": 1}
    story.lost.record()
    assert [(found["id"], found["Enrollment ID"]) for found in story.lost.rows("tracker")] == [
        (row["id"], f"{CHRISTMAS}-1")
    ]


def test_an_email_skipped_before_the_loss_is_not_sent(new_story: Callable[[], Story]) -> None:
    """Notion had everything before Redis was lost."""
    story = new_story()
    story.signs_up()
    run = f"{CHRISTMAS}-1"
    story.decides("skip", run, 3)
    story.pass_hours(24)
    story.lose()
    story.restore()
    story.pass_hours(24 * 30)
    assert story.lost.sent()[ids.email_id(run, 3)] == 0
