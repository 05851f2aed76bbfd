"""Restoring: emails that Notion does not have are looked up in Resend's list, and what it does not settle is in
doubt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from shared.core.errors import SendError
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.lost_ledger import Foreign, LostLedger, Unlisted
from tests.support.provider_double import MemoryProvider
from tests.support.sandbox_server import Sandbox, sandbox

HOUR = 3_600_000
ADAS = "ada@example.org"


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def lost(ledger: Ledger, clock: Clock, box: Sandbox) -> LostLedger:
    return LostLedger(ledger, clock, box)


def test_emails_due_while_the_ledger_was_gone_go_out_late(lost: LostLedger) -> None:
    """Resend knows of no email since, so it was not sent; the run moves, and the gaps stay."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    lost.lose()
    lost.clock.advance(hours=48)
    lost.restore()
    assert lost.world.states(run) == ["sent"] + ["scheduled"] * 6
    lost.world.live(0.25)
    assert lost.world.states(run)[:2] == ["sent", "sent"]
    third = lost.world.run(run).step(3).due
    assert third - lost.clock.now > 47 * HOUR


@pytest.mark.parametrize("silent", [True, False], ids=["no list", "another email since"])
def test_an_outcome_that_cannot_be_known_is_in_doubt(lost: LostLedger, silent: bool) -> None:
    """Without Resend's list, or with an email to the same person that is no other step's, a person decides."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    lost.lose()
    lost.clock.advance(hours=24)
    lost.provider.send({"from": "me@example.org", "to": [ADAS], "subject": "By hand", "text": "Hello"}, key="by hand")
    report = lost.restore(Unlisted() if silent else None)
    assert [left.row for left in report.in_doubt] == [f"{run}-2"]
    assert lost.world.states(run)[:3] == ["sent", "in-doubt", "scheduled"]
    lost.world.live(1)
    lost.record()
    assert {row["Email ID"]: row["Status"] for row in lost.rows("email_log")} == {
        f"{run}-1": "Sent",
        f"{run}-2": "In Doubt",
    }


def test_an_email_sent_ahead_of_time_is_found(lost: LostLedger) -> None:
    """A person sent it just before the loss."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).send_now(run, 5)
    lost.world.work()
    assert lost.sent()[f"{run}-5"] == 1
    lost.lose()
    lost.restore()
    assert lost.world.run(run).step(5).state == "sent"
    lost.world.live(300)
    assert set(lost.sent().values()) == {1}


def test_the_list_of_a_new_account_is_complete(lost: LostLedger) -> None:
    """The account's first email left a minute ago: what is not listed was not sent."""
    run = lost.world.sign_up()
    lost.world.work()
    other = lost.person(1)
    lost.record()
    lost.lose()
    assert lost.restore().in_doubt == []
    lost.world.live(1)
    assert (lost.world.states(run)[0], lost.world.states(other)[0]) == ("sent", "sent")
    assert set(lost.sent().values()) == {1}


def test_the_list_of_another_account_settles_nothing(lost: LostLedger) -> None:
    """It has none of the emails that the log knows."""
    run = lost.world.sign_up()
    lost.world.live(23.5)
    lost.record()
    lost.lose()
    lost.clock.advance(hours=1)
    report = lost.restore(Foreign(lost.clock.now - 30 * HOUR))
    assert ([left.row for left in report.in_doubt], report.list_from) == ([f"{run}-2"], None)


def test_an_unmarked_step_before_a_marked_one_is_skipped(lost: LostLedger) -> None:
    """It was skipped; if sent now, it would arrive after the later one."""
    run = lost.world.sign_up()
    EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).skip(run, 2)
    lost.world.live(80)
    lost.record()
    lost.lose()
    lost.restore()
    assert lost.world.states(run) == ["sent", "skipped", "sent"] + ["scheduled"] * 4
    lost.world.live(300)
    assert sorted(lost.sent()) == [f"{run}-{number}" for number in (1, 3, 4, 5, 6, 7)]


def test_a_skipped_doubt_is_not_sent_after_a_restore(lost: LostLedger) -> None:
    """The log says Skipped, so it stays skipped, even if Resend does not list it and it is due."""
    run = lost.world.sign_up()
    lost.world.live(23)
    refusing = MemoryProvider(lost.clock)
    refusing.faults.append(SendError("conflict", "another body"))
    lost.world.sender = dataclasses.replace(lost.world.sender, provider=refusing)
    lost.world.live(2)
    assert lost.world.states(run)[1] == "in-doubt"
    lost.record()
    EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).skip(run, 2)
    lost.record()
    assert [row["Status"] for row in lost.rows("email_log") if row["Email ID"] == f"{run}-2"] == ["Skipped"]
    lost.lose()
    lost.restore()
    step = lost.world.run(run).step(2)
    assert (step.state, step.why) == ("skipped", "skipped manually; it may have been sent")
