"""Verifying the ledger against Resend's list and Notion's rows: the real clients against the sandbox, and a fake
clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.recovery.enrollment_records import held
from shared.recovery.findings import Finding, fix
from shared.recovery.verify_ledger import unlisted
from shared.recovery.verify_notion import NotionWitness
from shared.recovery.verify_resend import ResendWitness
from tests.conftest import Clock
from tests.support.lost_ledger import LostLedger, Unlisted, at
from tests.support.sandbox_server import Sandbox, sandbox, text
from tests.support.world import ADA

DAY = 24 * 3_600_000


class Verified(LostLedger):
    """Evergreen at work, checked against both Resend and Notion."""

    def verify(self) -> list[Finding]:
        """Everything that does not agree."""
        everything = held(self.ledger)
        resend = ResendWitness(self.ledger, self.subjects, self.provider)
        notion = NotionWitness(self.ledger, self.world.sender.catalog, self.settings, self.notion)
        return resend.compare(everything, self.clock.now - 30 * DAY) + notion.compare(everything)

    def found(self) -> list[tuple[str, str]]:
        """The kind of each finding, and of what."""
        return [(finding.kind, finding.what) for finding in self.verify()]

    def fixes(self) -> list[Finding]:
        """Fix what can be, let the recorder work, and look again."""
        fix(self.verify(), self.ledger)
        self.record()
        return self.verify()


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox) -> Verified:
    return Verified(ledger, clock, box)


@pytest.fixture
def run(desk: Verified) -> str:
    """A run of which two emails were sent, and all recorded."""
    desk.provider.send(
        {"from": "me@example.org", "to": ["other@example.org"], "subject": "Earlier", "text": "Hi"}, key="earlier"
    )
    desk.clock.advance(hours=1)
    run = desk.world.sign_up()
    desk.world.live(30)
    desk.record()
    return run


def test_all_agree(desk: Verified, run: str) -> None:
    """A ledger at work has no findings, also where someone is only tracked, and while something waits to be
    recorded."""
    desk.world.sign_up({"email": "tracked@example.org"})
    desk.record()
    assert desk.verify() == []
    desk.world.live(48)
    desk.world.sign_up(ADA | {"email": "new@example.org"})
    assert desk.found() == []


def test_resend_and_notion_may_write_an_address_otherwise(desk: Verified, run: str) -> None:
    """Resend lists domains in ASCII, and an owner may type them so: it is the same person."""
    mia = desk.world.sign_up(email="mia@käse.example.org")
    desk.world.live(1)
    desk.record()
    assert desk.sent()[f"{ids.enrollment_prefix('christmas', 'mia@käse.example.org')}-1-1"] == 1
    assert desk.verify() == []
    desk.change(desk.rows("contacts")[-1]["id"], Email={"email": "Mia@xn--kse-qla.example.org"})
    assert desk.verify() == []
    desk.ledger.redis.hset(ids.enrollment_key(mia), "1.id", "00000000-0000-0000-0000-000000000000")
    assert desk.found() == [("gap", f"{mia}-1")]


def test_an_email_that_was_accepted_twice_is_named(desk: Verified, run: str) -> None:
    """Two with the same subject for one step."""
    again = next(email for email in desk.box.outbox() if email["to"] == ["ada@example.org"])
    desk.provider.send({key: again[key] for key in ("from", "to", "subject", "text")}, key="another")
    assert desk.found() == [("duplicate", f"{run}-1")]
    assert desk.fixes()[0].fixed is False


def test_an_email_that_resend_does_not_know_is_a_gap(desk: Verified, run: str) -> None:
    """It counts as sent, under an id that is not in the list."""
    desk.ledger.redis.hset(ids.enrollment_key(run), "2.id", "00000000-0000-0000-0000-000000000000")
    assert ("gap", f"{run}-2") in desk.found()


def test_an_email_in_doubt_that_resend_knows_is_fixed(desk: Verified, run: str) -> None:
    """It is sent, at the time and under the id that Resend says; the log says so too."""
    sent = desk.world.run(run).step(2)
    page = next(row["id"] for row in desk.rows("email_log") if row["Email ID"] == f"{run}-2")
    desk.ledger.redis.hset(ids.enrollment_key(run), "2.state", "in-doubt")
    desk.ledger.redis.hdel(ids.enrollment_key(run), "2.id", "2.sent")
    desk.change(page, Status={"select": {"name": "In Doubt"}})
    before = desk.sent()
    assert ("disagreement", f"{run}-2") in desk.found()
    assert desk.fixes() == []
    after = desk.world.run(run).step(2)
    assert (after.state, after.provider_id, after.sent_at) == ("sent", sent.provider_id, sent.sent_at)
    assert desk.sent() == before


def test_a_scheduled_email_that_resend_has_is_named_and_left_alone(desk: Verified, run: str) -> None:
    """Only a person can skip it."""
    contact = desk.ledger.contact(ids.digest("ada@example.org"))
    assert contact is not None
    (subject,) = desk.subjects.of("christmas", 3, contact)
    desk.provider.send(
        {"from": "me@example.org", "to": ["ada@example.org"], "subject": subject, "text": "Hi"}, key="by a copy"
    )
    (finding,) = desk.fixes()
    assert (finding.kind, finding.what, finding.advice) == ("disagreement", f"{run}-3", f"evergreen skip {run} 3")
    assert desk.world.run(run).step(3).state == "scheduled"


def test_missing_and_stale_rows_are_written_again(desk: Verified, run: str) -> None:
    """A contact, a run and an email whose rows were trashed, and a mark that was cleared."""
    other = desk.person(1)
    desk.world.live(1)
    desk.record()
    tracker = {row["Enrollment ID"]: row["id"] for row in desk.rows("tracker")}
    contact = next(row["id"] for row in desk.rows("contacts") if row["Email"] == "ada@example.org")
    email = next(row["id"] for row in desk.rows("email_log") if row["Email ID"] == f"{run}-1")
    for page in (tracker[run], contact, email):
        desk.notion.trash(page)
    desk.change(tracker[other], Email_1_Sent={"date": None}, Status={"select": {"name": "Completed"}})
    assert sorted(desk.found()) == sorted(
        [
            ("gap", ids.digest("ada@example.org")),
            ("gap", run),
            ("gap", f"{run}-1"),
            ("disagreement", other),
            ("disagreement", f"{other}-1"),
        ]
    )
    assert desk.fixes() == []


def test_a_duplicate_row_is_named_and_never_deleted(desk: Verified, run: str) -> None:
    """A person decides which of the two is right."""
    page = desk.write("tracker", Name={"title": text("Ada")}, Enrollment_ID={"rich_text": text(run)})
    assert desk.found() == [("duplicate", page)]
    desk.fixes()
    assert len(desk.rows("tracker")) == 2


def test_an_unknown_mark_and_a_missing_run_are_named(desk: Verified, run: str) -> None:
    """The owner's own date in a row, and an active row that the ledger does not have."""
    desk.change(desk.rows("tracker")[0]["id"], Email_3_Sent=at(10))
    stranger = f"{ids.enrollment_prefix('christmas', 'who@example.org')}-1"
    desk.write("tracker", Enrollment_ID={"rich_text": text(stranger)}, Status={"select": {"name": "Active"}})
    assert desk.found() == [("disagreement", f"{run}-3"), ("gap", stranger)]


def test_an_email_on_no_list_is_a_gap_and_put_back(desk: Verified, run: str) -> None:
    """Each that would never go out, and no other; what is put back goes out at its time."""
    desk.ledger.redis.zrem(ids.OPEN, f"{run}-3", f"{run}-7")
    desk.ledger.redis.delete(ids.SCHEDULED)
    findings = unlisted(desk.ledger)
    assert [(finding.kind, finding.what, finding.fixable) for finding in findings] == [
        ("gap", f"{run}-3", True),
        ("gap", f"{run}-7", True),
    ]
    assert desk.verify() == [], "neither Resend nor Notion knows"
    assert [finding.fixed for finding in fix(findings, desk.ledger)] == [True, True]
    assert unlisted(desk.ledger) == []
    desk.world.live(24 * 12)
    assert desk.world.states(run) == ["sent"] * 7


def test_a_step_put_back_in_the_meantime_counts_as_fixed(desk: Verified, run: str) -> None:
    """The scheduler's audit may be first; its result is kept."""
    desk.ledger.redis.zrem(ids.OPEN, f"{run}-3")
    findings = unlisted(desk.ledger)
    desk.ledger.audit_all(repair=True)
    before = desk.ledger.redis.hget(ids.enrollment_key(run), "3.look")
    assert [finding.fixed for finding in fix(findings, desk.ledger)] == [True]
    assert desk.ledger.redis.hget(ids.enrollment_key(run), "3.look") == before


def test_an_unreadable_list_is_reported(desk: Verified, run: str) -> None:
    """An unreadable list proves nothing."""
    witness = ResendWitness(desk.ledger, desk.subjects, Unlisted())
    assert [(found.kind, found.what) for found in witness.compare(held(desk.ledger), 0)] == [("gap", "resend")]
