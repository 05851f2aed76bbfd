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
    Tale,
    another_campaign,
    booking,
    call,
    client,
    form_again,
    goes_on,
    lived,
    nothing,
    only_tracked,
    outcome,
    paused,
)
from tests.support.lost_ledger import Unlisted, at


def reported(tale: Tale) -> None:
    """A call ended with a maybe; two of three emails are out."""
    call(tale)
    tale.pass_hours(24 * 4)


def reported_and_over(tale: Tale) -> None:
    """The same, with all emails out."""
    call(tale)
    tale.pass_hours(24 * 8)


def reported_twice(tale: Tale) -> None:
    """In the middle of the second time."""
    reported_and_over(tale)
    reported(tale)


def reported_twice_and_over(tale: Tale) -> None:
    """After the second time."""
    reported_and_over(tale)
    reported_and_over(tale)


def call_cancelled_and_again(tale: Tale) -> None:
    """The operator ends what a report began, or found, and reports her once more."""
    call(tale)
    for run in tale.open():
        tale.decides("cancel", run)
    call(tale)


def call_and_unsubscribe(tale: Tale) -> None:
    """She is reported, and wants no more."""
    call(tale)
    tale.lost.ledger.suppress(CONTACT, "unsubscribed")


def client_and_call(tale: Tale) -> None:
    """She becomes a client, and some time later another call ends with a maybe."""
    client(tale)
    tale.clock.advance(hours=1)
    call(tale)


def call_and_pause(tale: Tale) -> None:
    """The operator pauses all that is open."""
    call(tale)
    for run in tale.open():
        tale.decides("pause", run)


@pytest.mark.parametrize("after", [nothing, call, call_and_pause, client_and_call, booking, call_and_unsubscribe])
@pytest.mark.parametrize("before", [reported, reported_and_over, reported_twice, reported_twice_and_over])
def test_who_may_enter_again_gets_a_number_of_their_own(
    told: Callable[[], Tale], before: Callable[[Tale], None], after: Callable[[Tale], None]
) -> None:
    """All the emails of a new run go out, under ids that none had before; those of a run that was lost continue."""
    never_lost = outcome(lived(told(), before, after, loses=False))
    tale = lived(told(), before, after, loses=True)
    tale.restore()
    assert outcome(tale) == never_lost
    assert max(tale.lost.sent().values(), default=1) == 1


@pytest.mark.parametrize("before", [reported, reported_and_over, reported_twice, reported_twice_and_over])
def test_of_several_new_ones_the_last_goes_on(told: Callable[[], Tale], before: Callable[[Tale], None]) -> None:
    """The operator had ended the first of them, and with it what it stood for."""
    tale = told()
    before(tale)
    known = tale.lost.sent()
    tale.lose()
    call_cancelled_and_again(tale)
    assert tale.restore()["restored"] == 0
    (again,) = tale.open()
    tale.pass_hours(24 * 15)
    assert tale.lost.sent() == known | {f"{again}-{step}": 1 for step in (1, 2, 3)}


def test_the_number_counts_on_from_the_email_log_too(told: Callable[[], Tale]) -> None:
    """The row of the second run is gone from the tracker; its emails are not."""
    tale = told()
    reported_twice_and_over(tale)
    tale.lost.record()
    (row,) = (row for row in tale.lost.rows("tracker") if row["Enrollment ID"] == f"{POSTCALL}-2")
    tale.lost.box.notion("PATCH", f"/pages/{row['id']}", json={"in_trash": True}).raise_for_status()
    tale.lose()
    call(tale)
    assert tale.restore() == {"marked": 1, "numbered": 1}
    tale.pass_hours(24 * 8)
    assert tale.lost.sent() == {f"{POSTCALL}-{run}-{step}": 1 for run in (1, 2, 3) for step in (1, 2, 3)}
    tale.lost.record()
    assert {row["Enrollment ID"]: row["Status"] for row in tale.lost.rows("tracker")} == {
        f"{POSTCALL}-1": "Completed",
        f"{POSTCALL}-3": "Completed",
    }


@pytest.mark.parametrize("then_taken_back", [False, True])
@pytest.mark.parametrize("seen_again", [False, True], ids=["", "reported again"])
def test_a_missed_meeting(told: Callable[[], Tale], seen_again: bool, then_taken_back: bool) -> None:
    """The calendar says again that she did not come, or takes that back: also where this ledger knows nothing about
    it."""

    def before(tale: Tale) -> None:
        tale.calendar("no-show", "calendly-noshow")
        tale.pass_hours(30)

    def after(tale: Tale) -> None:
        if seen_again:
            tale.calendar("no-show", "calendly-noshow")
        if then_taken_back:
            tale.clock.advance(seconds=60)
            tale.calendar("no-show-undone", "calendly-noshow")

    never_lost = outcome(lived(told(), before, after, loses=False))
    tale = lived(told(), before, after, loses=True)
    tale.restore()
    assert outcome(tale) == never_lost
    assert tale.lost.sent().total() == (2 if then_taken_back else 3)


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize("after", [form_again, another_campaign])
def test_an_email_in_doubt_stays_so(told: Callable[[], Tale], after: Callable[[Tale], None], listed: bool) -> None:
    """Also one that becomes doubtful by the restore; only a person sends it."""
    tale = lived(told(), goes_on, after, loses=True)
    tale.pass_hours(48)
    tale.restore(lister=None if listed else Unlisted())
    assert tale.states()[f"{CHRISTMAS}-1"][3] == ("sent" if listed else "in-doubt")
    tale.pass_hours(24 * 15)
    assert tale.lost.sent() == {f"{CHRISTMAS}-1-{step}": 1 for step in range(1, 8) if listed or step != 3}


def test_a_consent_after_the_loss_lifts_no_unsubscribe(told: Callable[[], Tale]) -> None:
    """A form may be posted by another person than the one who unsubscribed; this ledger cannot tell."""
    tale = told()
    goes_on(tale)
    tale.lost.ledger.suppress(CONTACT, "unsubscribed")
    tale.lose()
    tale.signs_up(consent=True)
    tale.signs_up("assessment", consent=True)
    assert tale.restore() == {"marked": 1, "thrown": 1}
    assert tale.open() == set()
    tale.pass_hours(24 * 14)
    assert tale.lost.sent().total() == 2
    tale.lost.record()
    assert [row["Subscription"] for row in tale.lost.rows("contacts")] == ["unsubscribed"]


@pytest.mark.parametrize("at", range(1, 7))
def test_a_restore_that_breaks_off_is_run_again(
    told: Callable[[], Tale], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Wherever it broke off, and though more came in by then, it ends as one that did not."""
    tale = told()
    goes_on(tale)
    reported_and_over(tale)
    tale.lost.person(1)
    tale.lose()
    tale.signs_up("assessment")
    tale.signs_up()
    call(tale)
    tale.lost.person(1)
    decide, left = tale.lost.ledger._decide, [at]

    def breaks(script: str, *rest: Any) -> Any:
        left[0] -= script == "restore"
        if not left[0]:
            raise ConnectionError
        return decide(script, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(tale.lost.ledger, "_decide", breaks)
        with contextlib.suppress(ConnectionError):
            tale.lost.restorer().restore()
    tale.signs_up()
    tale.signs_up("assessment")
    call(tale)
    tale.lost.person(1)
    tale.restore()
    again = ids.enrollment_prefix("christmas", "person1@example.org") + "-1"
    assert tale.open() == {f"{CHRISTMAS}-1", f"{POSTCALL}-2", again}
    tale.pass_hours(24 * 15)
    sent = {f"{run}-{step}": 1 for run in (f"{CHRISTMAS}-1", again) for step in range(1, 8)}
    assert tale.lost.sent() == sent | {f"{POSTCALL}-{run}-{step}": 1 for run in (1, 2) for step in (1, 2, 3)}
    assert tale.lost.restorer().restore().runs["thrown"] == 0


def test_nothing_is_left_of_what_is_thrown_away(told: Callable[[], Tale]) -> None:
    """No wake-up, list, count, group or row; and a person who is put back has one of each."""
    tale = told()
    goes_on(tale)
    tale.lose()
    tale.signs_up("assessment")
    tale.decides("pause", f"{BUSOS}-1")
    tale.restore()
    redis = tale.lost.ledger.redis
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
    assert Outbox(tale.lost.ledger).pending() == {f"contact:{CONTACT}", f"enrollment:{CHRISTMAS}-1"}
    assert tale.world.run(f"{CHRISTMAS}-1").state == "paused"


def test_what_this_ledger_has_tried_stays(told: Callable[[], Tale]) -> None:
    """After `evergreen fence --fresh` new emails were made on purpose: a restore leaves that alone, also where the
    fence is lost again."""
    tale = told()
    goes_on(tale)
    tale.lose()
    tale.lost.fence.claim()
    tale.signs_up()
    tale.lost.ledger.redis.hset(ids.FENCE, "server", "of-the-time-before")
    before = tale.states()
    assert tale.restore() == {"exists": 1}
    assert tale.states() == before


def test_the_report_names_what_became_of_each(told: Callable[[], Tale]) -> None:
    """Who comes back in place of a new one, who ended meanwhile, who begins under a new number, and what is
    discarded."""
    tale = told()
    goes_on(tale)
    reported_and_over(tale)
    tale.lose()
    tale.signs_up("assessment")
    call(tale)
    report = tale.lost.restorer().restore()
    assert report.runs == {"restored": 1, "marked": 1, "thrown": 1, "numbered": 1}
    assert [(one.row, one.why) for one in report.thrown] == [(f"{BUSOS}-1", f"{CHRISTMAS}-1 replaces it")]
    assert [(one.row, one.why) for one in report.numbered] == [
        (f"{POSTCALL}-2", f"it started as {POSTCALL}-1, an id that was used before the loss")
    ]


def test_a_row_is_not_written_over_before_it_was_read(told: Callable[[], Tale]) -> None:
    """Updates for Notion wait for the fence, and are written then; nothing is lost, and health says no more than
    that."""
    tale = told()
    goes_on(tale)
    tale.decides("pause", f"{CHRISTMAS}-1")
    tale.lose()
    (row,) = tale.lost.rows("tracker")
    tale.signs_up(business_name="Analytical Engines")
    waiting = Outbox(tale.lost.ledger).pending()
    assert tale.lost.recorder.drain(60) == 0
    assert (Outbox(tale.lost.ledger).pending(), tale.lost.rows("tracker")) == (waiting, [row])
    tale.restore()
    tale.lost.record()
    (after,) = tale.lost.rows("tracker")
    assert (after["id"], after["Status"], after["Email 2 Sent"]) == (row["id"], "Paused", row["Email 2 Sent"])
    assert [person["Business Name"] for person in tale.lost.rows("contacts")] == ["Analytical Engines"]
    assert Outbox(tale.lost.ledger).depth() == 0


def test_a_recorder_waits_for_the_scheduler_to_look(told: Callable[[], Tale]) -> None:
    """In the first second after the loss no process has asked yet whether this copy may send."""
    tale = told()
    goes_on(tale)
    tale.lost.record()
    tale.lost.lose()
    tale.world.sign_up()
    recorder = dataclasses.replace(tale.lost.recorder, fenced=True)
    assert recorder.drain(60) == 0
    tale.lost.fence.claim()
    assert recorder.drain(60) == 2


def test_who_signs_up_again_is_no_proof_that_a_row_is_known(told: Callable[[], Tale]) -> None:
    """The only person of the tracker was here before the scheduler looked: it still sees that the ledger was lost."""
    tale = told()
    goes_on(tale)
    tale.lost.record()
    tale.lost.lose()
    tale.world.sign_up()
    tale.lost.fence.poll()
    assert tale.lost.ledger.redis.hget(ids.FENCE, "why") == UNKNOWN
    assert tale.restore() == {"restored": 1, "thrown": 1}


def test_a_tick_waits_for_the_restore(told: Callable[[], Tale]) -> None:
    """It is the lost enrollment's, and pauses it; cleared before the restore, it pauses nothing."""
    tale = told()
    goes_on(tale)
    tale.lose()
    tale.signs_up()
    page = tale.lost.rows("tracker")[0]["id"]
    ticks = NotionPause(tale.lost.ledger, tale.actions, tale.lost.settings, tale.lost.notion)
    tale.lost.change(page, Pause={"checkbox": True})
    assert (ticks.poll(), tale.world.run(f"{CHRISTMAS}-1").state) == (0, "active")
    tale.lost.change(page, Pause={"checkbox": False})
    assert (ticks.poll(), tale.restore()) == (0, {"restored": 1, "thrown": 1})
    tale.lost.change(page, Pause={"checkbox": True})
    assert (ticks.poll(), tale.world.run(f"{CHRISTMAS}-1").state) == (1, "paused")


def test_a_booking_after_the_restore_ends_what_began_before_it(told: Callable[[], Tale]) -> None:
    """Even though its anchor was moved beyond the booking, which its calendar reports only now."""
    tale = told()
    paused(tale)
    tale.lost.record()
    booked_at = tale.clock.now
    tale.pass_hours(48)
    tale.decides("resume", f"{CHRISTMAS}-1")
    tale.lose()
    tale.restore()
    assert tale.world.run(f"{CHRISTMAS}-1").anchor > booked_at
    tale.calendar("booked", at=booked_at)
    assert tale.world.run(f"{CHRISTMAS}-1").state == "exited"


def test_a_dry_run_foresees_the_fence(told: Callable[[], Tale]) -> None:
    """Before any scheduler has looked, the fence is not on; the restore puts it on."""
    tale = told()
    goes_on(tale)
    reported_and_over(tale)
    tale.lost.record()
    tale.lost.lose()
    tale.world.sign_up()
    before = tale.states()
    dry = tale.lost.restorer().restore(dry=True)
    assert (dry.runs, tale.states()) == ({"restored": 1, "marked": 1, "thrown": 1}, before)
    assert tale.lost.restorer().restore().as_dict == dry.as_dict | {"dry": False}


def test_of_two_lost_ones_of_a_group_one_goes_on(told: Callable[[], Tale]) -> None:
    """The earlier, as without a new one; and where that one was ended since, the other."""
    for cancels in (False, True):
        tale = told()
        goes_on(tale)
        tale.lost.record()
        name, campaign = {"title": [{"text": {"content": "Ada"}}]}, {"select": {"name": "BusinessX Canada"}}
        ident = {"rich_text": [{"text": {"content": f"{BUSOS}-1"}}]}
        row = {
            "Email": {"email": ADDRESS},
            "Name": name,
            "Campaign": campaign,
            "Enrollment_ID": ident,
            "Anchor": at(29),
        }
        tale.lost.write("tracker", **row)
        tale.lose()
        tale.signs_up("christmas-assessment")
        if cancels:
            tale.decides("cancel", f"{FIVE_DAY}-1")
            tale.signs_up()
            tale.decides("cancel", f"{CHRISTMAS}-1")
        runs = tale.restore()
        one, other = (f"{BUSOS}-1", "ended") if cancels else (f"{CHRISTMAS}-1", "blocked")
        assert (tale.open(), runs["restored"], runs[other], runs["thrown"]) == ({one}, 1, 1, 1)


def test_a_row_of_an_earlier_build_counts_as_well(told: Callable[[], Tale]) -> None:
    """It has no Enrollment ID; a person who signs up again before the take-over continues after the last mark, in the
    same row."""
    tale = told()
    name, campaign = {"title": [{"text": {"content": "Ada"}}]}, {"select": {"name": "Christmas 2025"}}
    marks = {"Email_1_Sent": at(-30), "Email_2_Sent": at(-6)}
    page = tale.lost.write("tracker", Email={"email": ADDRESS}, Name=name, Campaign=campaign, **marks)
    tale.lost.fence.poll()
    tale.signs_up()
    assert tale.restore() == {"restored": 1, "thrown": 1}
    tale.pass_hours(24 * 15)
    assert tale.lost.sent() == {f"{CHRISTMAS}-1-{step}": 1 for step in range(3, 8)}
    tale.lost.record()
    assert [(row["id"], row["Status"]) for row in tale.lost.rows("tracker")] == [(page, "Completed")]


def test_a_row_that_only_tracks_becomes_the_new_ones(told: Callable[[], Tale]) -> None:
    """A person who gave only an address before the loss, and the assessment after it, has one row."""
    tale = told()
    only_tracked(tale)
    tale.lose()
    (row,) = tale.lost.rows("tracker")
    tale.signs_up()
    assert tale.restore() == {"exists": 1}
    tale.lost.record()
    assert [(found["id"], found["Enrollment ID"]) for found in tale.lost.rows("tracker")] == [
        (row["id"], f"{CHRISTMAS}-1")
    ]


def test_an_email_that_a_person_left_out_before_the_loss_stays_out(told: Callable[[], Tale]) -> None:
    """Notion knew all before Redis was gone."""
    tale = told()
    tale.signs_up()
    run = f"{CHRISTMAS}-1"
    tale.decides("skip", run, 3)
    tale.pass_hours(24)
    tale.lose()
    tale.restore()
    tale.pass_hours(24 * 30)
    assert tale.lost.sent()[ids.email_id(run, 3)] == 0
