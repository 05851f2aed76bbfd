"""Sample deliveries of Cal.com, Calendly and Resend with their signatures, each through its webhook on a real Valkey.

Those files are not part of the project; the tests skip unless CONTRACTS_DIR says where they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from redis import Redis
from werkzeug.test import TestResponse

from local import valkey
from shared.domain.enrollments import Enrollment
from shared.ledger import ids
from tests.integrations.test_contract_calendars import CONTRACTS, sample, vector
from tests.support.functions_client import Functions
from tests.support.webhook_calls import kept, webhooks
from tests.support.world import ADA

pytestmark = pytest.mark.skipif(
    "CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR does not say where the contracts are"
)
REMINDERS, RECOVERY = "booking-reminder", "noshow-recovery"

# What was delivered before; the outcome; the runs and their states afterwards. All are answered 200.
TABLE: dict[str, tuple[list[str], str, dict[str, str]]] = {
    "calcom/booking_created.json": ([], "enrolled", {REMINDERS: "active", "christmas": "exited"}),
    "calcom/booking_rescheduled.json": (
        ["calcom/booking_created.json"],
        "enrolled",
        {REMINDERS: "cancelled", f"{REMINDERS} moved": "active", "christmas": "exited"},
    ),
    "calcom/booking_cancelled.json": (
        ["calcom/booking_created.json"],
        "cancelled",
        {REMINDERS: "cancelled", "christmas": "exited"},
    ),
    "calcom/booking_rejected.json": (
        ["calcom/booking_created.json"],
        "cancelled",
        {REMINDERS: "cancelled", "christmas": "exited"},
    ),
    "calcom/booking_no_show_updated_marked.json": ([], "enrolled", {RECOVERY: "active", "christmas": "active"}),
    "calcom/booking_no_show_updated_unmarked.json": (
        ["calcom/booking_no_show_updated_marked.json"],
        "cancelled",
        {RECOVERY: "cancelled", "christmas": "active"},
    ),
    "calcom/booking_requested.json": ([], "ignored", {"christmas": "active"}),
    "calcom/form_submitted.json": ([], "ignored", {"christmas": "active"}),
    "calcom/meeting_started_flat.json": ([], "ignored", {"christmas": "active"}),
    "calcom/ping_test.json": ([], "ignored", {"christmas": "active"}),
    "calendly/invitee_created.json": ([], "tracked", {"christmas": "exited"}),
    "calendly/invitee_canceled.json": ([], "cancelled", {"christmas": "active"}),
    "calendly/invitee_canceled_by_reschedule.json": ([], "cancelled", {"christmas": "active"}),
    "calendly/invitee_no_show_created.json": ([], "enrolled", {RECOVERY: "active", "christmas": "active"}),
    "calendly/invitee_no_show_deleted.json": (
        ["calendly/invitee_no_show_created.json"],
        "cancelled",
        {RECOVERY: "cancelled", "christmas": "active"},
    ),
}
# What becomes of the addressee's run.
RESEND = {
    "resend/contact_updated_unsubscribed.json": ("exited", "unsubscribed"),
    "resend/email_bounced_permanent.json": ("exited", "bounced"),
    "resend/email_complained.json": ("exited", "complained"),
    "resend/email_suppressed.json": ("exited", "bounced"),
    "resend/email_clicked.json": ("active", None),
    "resend/email_delivered.json": ("active", None),
    "resend/email_delivery_delayed.json": ("active", None),
    "resend/email_failed.json": ("active", None),
    "resend/email_opened.json": ("active", None),
    "resend/email_scheduled.json": ("active", None),
    "resend/email_sent.json": ("active", None),
}
WEBHOOK = {"calcom": "calcom-booking", "calendly": "calendly-noshow", "resend": "resend-events"}
SAMPLES = [*TABLE, *RESEND]
TIMED = [name for name in SAMPLES if not name.startswith("calcom/")]


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The webhooks with the vectors' secrets and at the vectors' time; the samples' person is in a nurture campaign."""
    settings = {"CALCOM_WEBHOOK_SECRET": "calcom/ping_test", "CALENDLY_SIGNING_KEY": "calendly/invitee_created"}
    settings = {
        name: vector(f"{file}.json")[0]["secret"]
        for name, file in (settings | {"RESEND_WEBHOOK_SECRET": "resend/email_sent"}).items()
    }
    with webhooks(valkey_server, monkeypatch, **settings) as ready:
        yield ready


def deliver(functions: Functions, name: str, *, body: bytes | None = None, later: int = 0) -> TestResponse:
    """Post a sample as its sender did.

    Args:
        functions: where.
        name: the sample.
        body: bytes in place of the sample's own.
        later: how many seconds after the vectors' time.
    """
    given, now = vector(name)
    with time_machine.travel(now + later, tick=False):
        functions.ledger._clock = lambda: (now + later) * 1000
        data = sample(name) if body is None else body
        return functions.client(WEBHOOK[name.split("/")[0]]).post("/", data=data, headers=given["headers"])


def person(name: str) -> str:
    """The address that a sample is about."""
    posted = json.loads(sample(name))
    about = posted.get("payload") or posted.get("data") or {}
    return str(
        about.get("email")
        or (about.get("to") or [None])[0]
        or (about.get("attendees") or [{}])[0].get("email")
        or "nobody@example.org"
    )


def nurtured(functions: Functions, email: str) -> str:
    """Enroll a person in the Christmas campaign, a day before the first sample was posted; returns the run's id."""
    functions.ledger._clock = lambda: round(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
    assert functions.sign_up(ADA | {"email": email}).status_code == 202
    return f"{ids.enrollment_prefix('christmas', email)}-1"


def states(functions: Functions, name: str) -> dict[str, str]:
    """Every run there is, named by its campaign, and its state."""
    known = {"christmas": ids.enrollment_prefix("christmas", person(name))}
    for label, file in ((REMINDERS, "created"), (f"{REMINDERS} moved", "rescheduled")):
        booking = json.loads(sample(f"calcom/booking_{file}.json"))["payload"]
        starts = round(datetime.fromisoformat(booking["startTime"]).timestamp() * 1000)
        known[label] = ids.enrollment_prefix(REMINDERS, f"{booking['uid']}:{starts}")
    payload = json.loads(sample(name)).get("payload", {})
    known[RECOVERY] = ids.enrollment_prefix(
        RECOVERY, payload.get("bookingUid") or str(payload.get("uri")).rsplit("/", 1)[-1]
    )
    runs: dict[str, Enrollment] = {
        label: run for label, key in known.items() if (run := functions.ledger.enrollment(f"{key}-1"))
    }
    assert len(runs) == len(list(functions.ledger.redis.scan_iter("eg:enrollment:*"))), (
        "there is a run that the table does not name"
    )
    return {label: run.state for label, run in runs.items()}


def test_no_vector_is_left_out() -> None:
    """Every signed sample has its line above."""
    vectors: list[dict[str, Any]] = json.loads((CONTRACTS / "signature-vectors.json").read_text(encoding="utf-8"))[
        "vectors"
    ]
    assert {each["file"] for each in vectors} == {*TABLE, *RESEND}


@pytest.mark.parametrize("name", TABLE)
def test_a_sample_has_its_outcome(functions: Functions, name: str) -> None:
    """Each delivery is answered and leads to what the table says; delivered again it changes nothing."""
    before, outcome, runs = TABLE[name]
    nurtured(functions, person(name))
    for earlier in before:
        assert deliver(functions, earlier).status_code == 200
    answer = deliver(functions, name)
    assert (answer.status_code, answer.json) == (200, {"status": "accepted", "outcome": outcome})
    assert states(functions, name) == runs
    held = kept(functions)
    again = deliver(functions, name)
    assert (again.status_code, (again.json or {})["outcome"]) == (
        200,
        "ignored" if outcome == "ignored" else "duplicate",
    )
    assert kept(functions) == held


@pytest.mark.parametrize("name", RESEND)
def test_a_resend_sample_has_its_outcome(functions: Functions, name: str) -> None:
    """Each event is answered 200 and ends what it must; delivered again it changes nothing."""
    run_id = nurtured(functions, person(name))
    assert deliver(functions, name).status_code == 200
    run = functions.ledger.enrollment(run_id)
    assert run and (run.state, run.why) == RESEND[name]
    held = kept(functions)
    assert deliver(functions, name).status_code == 200
    assert kept(functions) == held


@pytest.mark.parametrize("name", SAMPLES)
def test_one_flipped_byte_is_401(functions: Functions, name: str) -> None:
    """A delivery that was changed on its way is refused, and nothing is kept."""
    body = bytearray(sample(name))
    body[len(body) // 2] ^= 1
    assert (deliver(functions, name, body=bytes(body)).status_code, kept(functions)) == (401, {})


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("later", [-1, 1])
def test_an_old_or_early_timestamp_is_401(functions: Functions, name: str, later: int) -> None:
    """Calendly's signature is good for three minutes and Svix's for five, before and after."""
    tolerance = 180 if name.startswith("calendly/") else 300
    assert (deliver(functions, name, later=later * (tolerance + 1)).status_code, kept(functions)) == (401, {})
    assert deliver(functions, name, later=later * (tolerance - 1)).status_code == 200
