"""Every failure of the owner's Notion while a sequence runs: emails continue, on time, and in the end each thing has
its row, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.outbox import Outbox
from tests.conftest import Clock
from tests.notion.test_recorder import Desk
from tests.support.sandbox_server import Sandbox
from tests.support.world import World

HOUR = 3_600_000
LATE = 60_000  # milliseconds; the test's own rounds move the clock by half a minute each
DELAYS = [0, 24, 72, 120, 168, 216, 264]  # hours, of the Christmas campaign


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox) -> Desk:
    return Desk(World(ledger, clock), box, "evergreen")


def live_through(desk: Desk, trouble: Callable[[], None], fix: Callable[[], None]) -> str:
    """Let a person get seven emails while there is trouble in Notion, and then fix it; returns the run.

    Everything that Notion should know changes while the trouble lasts; recording is tried after each email.
    """
    run = desk.world.sign_up(business_name="Engines")
    desk.record()
    trouble()
    start, depths = desk.world.clock.now, []
    for delay in DELAYS:
        desk.world.clock.now = max(start + delay * HOUR, desk.world.clock.now)
        desk.world.work()
        desk.record()
        depths.append(Outbox(desk.world.ledger).depth())
    assert max(depths) > 0, "there was no trouble"
    assert desk.world.provider.email_ids == [f"{run}-{number}" for number in range(1, 8)]
    assert all(0 <= (step.sent_at or 0) - step.due <= LATE for step in desk.world.run(run).steps)
    fix()
    desk.world.clock.advance(hours=2)
    desk.record()
    desk.record()
    return run


def everything_is_there_once(desk: Desk, run: str) -> None:
    """A contact, a complete tracker row, seven rows in the log, and nothing left to tell."""
    contact, tracker, log = desk.row("contacts"), desk.row("tracker"), desk.rows("email_log")
    assert (contact["Email"], contact["Business Name"], bool(contact["Last Email Sent"])) == (
        "ada@example.org",
        "Engines",
        True,
    )
    assert (tracker["Enrollment ID"], tracker["Status"], tracker["Next Email At"]) == (run, "Completed", None)
    assert all(tracker[f"Email {number} Sent"] for number in range(1, 8))
    assert sorted(row["Email ID"] for row in log) == [f"{run}-{number}" for number in range(1, 8)]
    assert {row["Status"] for row in log} == {"Sent"}
    assert Outbox(desk.world.ledger).depth() == 0


def alerts(desk: Desk) -> list[tuple[str, str]]:
    """The alerts that the owner got, each with its latest detail."""
    found = iter(Alerts(desk.world.ledger).take, None)
    return [(alert.subject, alert.detail) for alert in found if alert.kind == "alert"]


OUTAGES: dict[str, dict[str, Any]] = {
    "429 of the integration": {
        "kind": "status",
        "status": 429,
        "name": "public_api_request_rate_limit",
        "retry_after": 20,
    },
    "429 of the workspace": {"kind": "quota", "name": "public_api_space_request_rate_limit", "retry_after": 20},
    "409": {"kind": "status", "status": 409},
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "503": {"kind": "status", "status": 503},
    "504": {"kind": "status", "status": 504},
    "529": {"kind": "status", "status": 529, "retry_after": 20},
    "503 after saving": {"kind": "commit-then-503"},
    "a page of HTML with 200": {"kind": "status", "status": 200, "body": "html"},
    "a page of HTML with 502": {"kind": "status", "status": 502, "body": "html"},
    "disconnect": {"kind": "disconnect"},
    "disconnect after saving": {"kind": "disconnect", "after": True},
    "400": {"kind": "status", "status": 400},
    "401": {"kind": "status", "status": 401},
    "403": {"kind": "status", "status": 403},
    "404": {"kind": "status", "status": 404},
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_of_eleven_days(desk: Desk, outage: str) -> None:
    """Every request to Notion goes wrong in the same way for the whole of a sequence."""
    fault = OUTAGES[outage]
    assert desk.box.state
    run = live_through(desk, lambda: desk.fault(**fault, count=None), desk.box.state.faults.remove)
    everything_is_there_once(desk, run)


def test_notion_does_not_answer(desk: Desk) -> None:
    """A few saved writes hang; the emails do not wait for them."""
    assert desk.box.state
    run = live_through(desk, lambda: desk.fault("timeout-after", count=4), desk.box.state.faults.remove)
    everything_is_there_once(desk, run)


@pytest.mark.parametrize(("source", "column"), [("contacts", "Email"), ("tracker", "Email"), ("email_log", "Email ID")])
def test_a_renamed_column(desk: Desk, source: str, column: str) -> None:
    """One alert names the column, not a storm of them; under its old name again, everything is written."""
    place = desk.made[source]["data_source_id"]

    def rename(before: str, after: str) -> None:
        desk.box.notion(
            "PATCH", f"/data_sources/{place}", json={"properties": {before: {"name": after}}}
        ).raise_for_status()

    run = live_through(desk, lambda: rename(column, "Mine"), lambda: rename("Mine", column))
    everything_is_there_once(desk, run)
    ((cause, detail),) = alerts(desk)
    assert cause == "record" and column in detail and "notion check" in detail


@pytest.mark.parametrize("source", ["contacts", "tracker", "email_log"])
def test_rows_that_the_owner_deletes(desk: Desk, source: str) -> None:
    """A row of something that still changes is made again with its next change; the others are left alone."""
    run = desk.world.sign_up()
    desk.world.work()
    desk.record()
    for row in desk.rows(source):
        desk.box.notion("PATCH", f"/pages/{row['id']}", json={"in_trash": True}).raise_for_status()
    desk.world.live(hours=300)
    desk.record()
    assert len(desk.world.provider.email_ids) == 7
    assert [row["Email"] for row in desk.rows("contacts")] == ["ada@example.org"]
    assert [row["Enrollment ID"] for row in desk.rows("tracker")] == [run]
    first = 2 if source == "email_log" else 1
    assert sorted(row["Email ID"] for row in desk.rows("email_log")) == [
        f"{run}-{number}" for number in range(first, 8)
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_a_person_must_fix_raises_one_alert(desk: Desk, status: int) -> None:
    """A row that does not fit, a revoked token, a database that is no longer shared: one alert.

    An outage that passes by itself raises none."""
    desk.world.sign_up()
    desk.fault("status", status=503, count=4)
    desk.record()
    assert alerts(desk) == []
    desk.fault("status", status=status, count=None)
    desk.record()
    desk.record()
    ((cause, detail),) = alerts(desk)
    assert cause == "record" and f"Notion answered {status}" in detail
