"""Data sources with more rows than Notion returns of a query, here ten: restored and verified whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from shared.core.errors import FenceError, NotionError
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.recovery.enrollment_records import held
from shared.recovery.fence import UNKNOWN
from shared.recovery.findings import Finding
from shared.recovery.restore import Restorer
from shared.recovery.sent_list import Follow, unseen
from shared.recovery.verify_notion import NotionWitness
from tests.conftest import Clock
from tests.support.lost_ledger import LostLedger
from tests.support.sandbox_server import Sandbox, sandbox, text
from tests.support.world import ADA

PEOPLE = 30


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        running.post("/limits", {"notion_query_rows": 10})
        yield running


@pytest.fixture
def lost(ledger: Ledger, clock: Clock, box: Sandbox) -> LostLedger:
    return LostLedger(ledger, clock, box)


def sign_up(lost: LostLedger, people: int = PEOPLE, together: int = 3) -> list[str]:
    """People sign up, so many at once, get their first email, and are recorded; returns the runs."""
    runs = []
    for number in range(people):
        runs.append(lost.person(number))
        if number % together == together - 1:
            lost.world.work()
            lost.record()
            lost.clock.advance(seconds=60)
    return runs


def verify(lost: LostLedger, follow: Follow = unseen) -> list[Finding]:
    """Where ledger and Notion differ."""
    catalog = lost.world.sender.catalog
    return NotionWitness(lost.ledger, catalog, lost.settings, lost.notion, follow).compare(held(lost.ledger))


def test_every_enrollment_comes_back_and_goes_on(lost: LostLedger) -> None:
    """None is left out, verify agrees, and each email arrives once."""
    runs = sign_up(lost)
    lost.lose()
    assert lost.restore().runs == {"restored": PEOPLE}
    assert {run for run in runs if lost.world.states(run)[0] == "sent"} == set(runs)
    assert verify(lost) == []
    lost.world.live(264 + 2)
    assert lost.sent() == {ids.email_id(run, number): 1 for run in runs for number in range(1, 8)}


def test_rows_without_an_id_come_back_too(lost: LostLedger) -> None:
    """As from an earlier build: each is found by its address."""
    runs = sign_up(lost)
    for row in lost.rows("tracker"):
        lost.change(row["id"], Enrollment_ID={"rich_text": []})
    lost.lose()
    assert lost.restore().runs == {"restored": PEOPLE}
    assert all(lost.world.states(run)[0] == "sent" for run in runs)


@pytest.mark.parametrize("name", ["contacts", "tracker", "email_log"])
def test_rows_that_notion_leaves_out_stop_a_restore(lost: LostLedger, name: str) -> None:
    """Nothing is written, nothing is sent, and the reason says that rows are missing."""
    sign_up(lost)
    for number in range(11):
        title = "Email_ID" if name == "email_log" else "Name"
        lost.write(name, **{title: {"title": text(f"imported {number}")}})
    lost.lose()
    for _ in range(2):
        with pytest.raises(NotionError, match="left out rows") as caught:
            lost.restorer().restore()
        assert (caught.value.kind, list(held(lost.ledger))) == ("incomplete", [])
    lost.world.live(1)
    assert lost.sent().total() == PEOPLE


@pytest.mark.parametrize("name", ["contacts", "tracker", "email_log"])
def test_verify_never_agrees_with_a_part(lost: LostLedger, name: str) -> None:
    """It fails instead."""
    sign_up(lost, 3)
    assert verify(lost) == []
    for number in range(11):
        title = "Email_ID" if name == "email_log" else "Name"
        lost.write(name, **{title: {"title": text(f"imported {number}")}})
    with pytest.raises(NotionError, match="left out rows"):
        verify(lost)


def test_the_fence_finds_an_unknown_enrollment_beyond_the_first_query(lost: LostLedger) -> None:
    """A Redis that knows the oldest enrollments and not the newest may not send."""
    runs = sign_up(lost)
    lost.ledger.redis.delete(ids.enrollment_key(runs[-1]))
    lost.fence.poll()
    assert lost.fence._held.read().get("why") == UNKNOWN
    with pytest.raises(FenceError):
        lost.fence._refuse_a_stranger()


def test_duplicates_beyond_the_first_query_are_merged_and_named(lost: LostLedger) -> None:
    """The row and its copy are in different windows."""
    runs = sign_up(lost)
    lost.clock.advance(seconds=300)
    first = next(row for row in lost.rows("tracker") if row["Enrollment ID"] == runs[0])
    campaign = {"select": {"name": first["Campaign"]}}
    copy = lost.write(
        "tracker",
        Name={"title": text("Copy")},
        Email={"email": first["Email"]},
        Campaign=campaign,
        Enrollment_ID={"rich_text": text(runs[0])},
    )
    assert [(found.kind, found.what) for found in verify(lost)] == [("duplicate", copy)]
    lost.lose()
    report = lost.restore()
    assert (report.runs, report.duplicates) == ({"restored": PEOPLE}, 1)


def during(label: str, happen: Callable[[], object], after: int = 0) -> Follow:
    """Something happens while items are read, after so many of them."""

    def follow(items: Iterable[Any], now: str) -> Iterator[Any]:
        for count, item in enumerate(items):
            if (now, count) == (label, after):
                happen()
            yield item

    return follow


@pytest.mark.parametrize("label", ["Reading Contacts", "Reading Email Sequence", "Reading Email Log"])
@pytest.mark.parametrize("after", [0, 15])
def test_what_happens_while_verify_reads_is_no_difference(lost: LostLedger, label: str, after: int) -> None:
    """Emails go out, enrollments end and begin, all recorded: rows differ from the ledger as it was at the start."""
    runs = sign_up(lost)
    lost.box.post("/limits", {"notion_query_rows": 100})  # thirty emails leave within a minute

    def busy() -> None:
        lost.world.live(24)
        EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).cancel(runs[-1])
        lost.world.sign_up(ADA)
        lost.world.work()
        lost.record()

    assert verify(lost, during(label, busy, after)) == []
    assert verify(lost) == []


@pytest.mark.parametrize("label", ["Reading Contacts", "Reading Email Sequence", "Reading Email Log"])
def test_a_restore_that_notion_ends_can_be_run_again(lost: LostLedger, label: str) -> None:
    """In the middle of any data source; nothing has been written until then."""
    sign_up(lost)
    lost.lose()
    failing = lost.restorer()
    failing.follow = during(label, lambda: lost.box.fault("status", provider="notion", status=401, count=1), 5)
    with pytest.raises(NotionError, match="401"):
        failing.restore()
    assert held(lost.ledger) == []
    assert lost.restore().runs == {"restored": PEOPLE}
    assert verify(lost) == []


@pytest.mark.parametrize("after", [0, 1, 17, PEOPLE - 1])
def test_a_restore_that_is_stopped_can_be_run_again(lost: LostLedger, after: int) -> None:
    """By Ctrl-C, after so many enrollments; what is back must not be sent before the rest is."""

    def stop() -> None:
        raise KeyboardInterrupt

    sign_up(lost)
    lost.lose()
    stopped: Restorer = lost.restorer()
    stopped.follow = during("Restoring", stop, after)
    with pytest.raises(KeyboardInterrupt):
        stopped.restore()
    lost.world.live(24)
    assert (len(held(lost.ledger)), lost.sent().total()) == (after, PEOPLE)
    assert lost.restore().runs == {"restored": PEOPLE - after} | ({"exists": after} if after else {})
    lost.world.live(1)
    assert set(lost.sent().values()) == {1}
