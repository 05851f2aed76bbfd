"""The reader of Resend's events against sample events and signature vectors.

Those files are not part of the project; the tests skip unless CONTRACTS_DIR says where they are.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

from shared.core.errors import WebhookError
from shared.integrations.resend_events import DeliveryEvent, event, verify

CONTRACTS = Path(os.environ.get("CONTRACTS_DIR", ""))
pytestmark = pytest.mark.skipif(
    "CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR does not say where Resend's contracts are"
)
WHATS = {
    "contact_updated_unsubscribed": "unsubscribed",
    "email_bounced_permanent": "bounced",
    "email_clicked": "clicked",
    "email_complained": "complained",
    "email_delivered": "delivered",
    "email_delivery_delayed": "delayed",
    "email_failed": "failed",
    "email_opened": "opened",
    "email_scheduled": None,
    "email_sent": "accepted",
    "email_suppressed": "suppressed",
}
REASONS = {"bounced", "complained", "delayed", "failed", "suppressed"}


def sample(name: str) -> bytes:
    """The very bytes of a sample event."""
    return (CONTRACTS / "samples" / "resend" / f"{name}.json").read_bytes()


def vector(name: str) -> tuple[dict[str, Any], int]:
    """The signature vector of a sample, and the time at which it was signed."""
    vectors = json.loads((CONTRACTS / "signature-vectors.json").read_text(encoding="utf-8"))
    return next(each for each in vectors["vectors"] if each["file"] == f"resend/{name}.json"), vectors["now"]


def proved(name: str, body: bytes, later: int = 0) -> str:
    """Verify a body with the vector of a sample, this many seconds later."""
    signed, now = vector(name)
    with time_machine.travel(now + later, tick=False):
        return verify(body, signed["headers"], (signed["secret"],))


def read(name: str) -> DeliveryEvent | None:
    """What a sample says."""
    return event(sample(name), "msg")


def test_no_sample_is_left_out() -> None:
    """Each sample of Resend has its expectation here."""
    assert {path.stem for path in (CONTRACTS / "samples" / "resend").glob("*.json")} == set(WHATS)


@pytest.mark.parametrize("name", WHATS)
def test_signature(name: str) -> None:
    """The vector's signature holds for its body within five minutes, and for no other body."""
    assert proved(name, sample(name)) == vector(name)[0]["headers"]["svix-id"]
    assert proved(name, sample(name), later=299)
    for body, later in ((sample(name), 301), (sample(name), -301), (sample(name) + b" ", 0)):
        with pytest.raises(WebhookError, match="RESEND_WEBHOOK_SECRET"):
            proved(name, body, later)


@pytest.mark.parametrize("name", WHATS)
def test_what_it_says(name: str) -> None:
    """Each sample is read as what it is, of the one address that it names, with a reason where there is one."""
    found, posted = read(name), json.loads(sample(name))
    assert (found.what if found else None) == WHATS[name]
    if found is None:
        return
    address = posted["data"].get("email") or posted["data"]["to"][0]
    assert (found.address, found.provider_id) == (address, posted["data"].get("email_id"))
    assert (found.reason is not None) == (found.what in REASONS)
    assert found.reason is None or "@" not in found.reason
    assert found.at and datetime.fromtimestamp(found.at / 1000, UTC) == datetime.fromisoformat(posted["created_at"])
    assert found.sent is None or 0 < found.at - found.sent < 3_600_000
    assert found.email_id is None


def test_reasons() -> None:
    """A reason says what Resend says."""
    failed, bounced = read("email_failed"), read("email_bounced_permanent")
    assert failed and failed.reason == "Resend gave up: reached_daily_quota"
    assert (
        bounced
        and bounced.reason
        and bounced.reason.startswith("bounced: General: The recipient's email provider sent a hard bounce")
    )
