"""The readers of Cal.com and Calendly against sample events and signature vectors.

Those files are not part of the project; the tests skip unless CONTRACTS_DIR says where they are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import WebhookError
from shared.integrations import calcom, calendly

CONTRACTS = Path(os.environ.get("CONTRACTS_DIR", ""))
pytestmark = pytest.mark.skipif(
    "CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR does not say where the calendars' contracts are"
)
OUTCOMES = {
    "calcom/booking_created.json": "booked",
    "calcom/booking_rescheduled.json": "booked",
    "calcom/booking_cancelled.json": "cancelled",
    "calcom/booking_rejected.json": "cancelled",
    "calcom/booking_no_show_updated_marked.json": "no-show",
    "calcom/booking_no_show_updated_unmarked.json": "no-show-undone",
    "calcom/booking_requested.json": None,
    "calcom/form_submitted.json": None,
    "calcom/meeting_started_flat.json": None,
    "calcom/ping_test.json": None,
    "calendly/invitee_created.json": "booked",
    "calendly/invitee_canceled.json": "cancelled",
    "calendly/invitee_canceled_by_reschedule.json": "cancelled",
    "calendly/invitee_no_show_created.json": "no-show",
    "calendly/invitee_no_show_deleted.json": "no-show-undone",
}
STARTLESS = {"calcom/booking_no_show_updated_marked.json", "calcom/booking_no_show_updated_unmarked.json"}


def sample(name: str) -> bytes:
    """The very bytes of a sample event."""
    return (CONTRACTS / "samples" / name).read_bytes()


def vector(name: str) -> tuple[dict[str, Any], int]:
    """The signature vector of a sample, and the time at which it was signed."""
    vectors = json.loads((CONTRACTS / "signature-vectors.json").read_text(encoding="utf-8"))
    return next(each for each in vectors["vectors"] if each["file"] == name), vectors["now"]


def verify(name: str, body: bytes, later: int = 0) -> None:
    """Verify a body with the vector of a sample, `later` seconds later."""
    signed, now = vector(name)
    if name.startswith("calcom/"):
        calcom.verify(body, signed["headers"]["X-Cal-Signature-256"], (signed["secret"],))
    else:
        calendly.verify(body, signed["headers"]["Calendly-Webhook-Signature"], (signed["secret"],), now + later)


def test_no_sample_is_left_out() -> None:
    """Every sample of the two calendars has its outcome above."""
    folder = CONTRACTS / "samples"
    assert {
        str(path.relative_to(folder))
        for calendar in ("calcom", "calendly")
        for path in folder.glob(f"{calendar}/*.json")
    } == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_sample_is_verified_and_understood(name: str) -> None:
    """The signature of each sample holds, and the event is what its name says."""
    verify(name, sample(name))
    found = calcom.events(sample(name), 0) if name.startswith("calcom/") else calendly.events(sample(name))
    assert [event.what for event in found.events] == [what for what in [OUTCOMES[name]] if what]
    assert not found.unread
    for event in found.events:
        assert "@" in event.contact["email"]
        assert (event.starts is None) == (name in STARTLESS)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_flipped_bit_is_refused(name: str) -> None:
    """A body that differs in one bit is refused."""
    body = bytearray(sample(name))
    body[len(body) // 2] ^= 1
    with pytest.raises(WebhookError) as caught:
        verify(name, bytes(body))
    assert caught.value.status == 401


@pytest.mark.parametrize("later", [181, -181])
def test_an_old_signature_of_calendly_is_refused(later: int) -> None:
    """A signature is good for three minutes."""
    with pytest.raises(WebhookError) as caught:
        verify("calendly/invitee_created.json", sample("calendly/invitee_created.json"), later)
    assert caught.value.status == 401


def test_the_booking_of_a_sample() -> None:
    """The rescheduled booking names the one it replaces, its booker and its newest video link."""
    created, moved = (
        calcom.events(sample(f"calcom/booking_{name}.json"), 0).events[0] for name in ("created", "rescheduled")
    )
    assert moved.replaces == created.uid
    assert moved.contact["first_name"] == "Jane"
    assert (
        moved.values["meeting_place"]
        == json.loads(sample("calcom/booking_rescheduled.json"))["payload"]["metadata"]["videoCallUrl"]
    )
