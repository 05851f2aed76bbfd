"""What Calendly posts: its signature, and a booking, a cancellation or a no-show as a MeetingEvent.

Sources: Calendly's pages "Webhook Signatures" (header, signed text, tolerance), "Webhook Payloads for Rescheduled
Events" and "Webhook Errors" (a day of retries, then the subscription is disabled).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Literal

from shared.core import proofs
from shared.core.errors import Unread, WebhookError
from shared.domain.forms import CalendarReport, MeetingEvent
from shared.integrations.calendly_payloads import Invitee, Location, NamedInvitee, NewInvitee, Post, Trigger
from shared.integrations.payloads import given, https, json_object, milliseconds, read

TOLERANCE_SECONDS = 180
_WHAT: dict[str, Literal["booked", "cancelled", "no-show", "no-show-undone"]] = {
    "invitee.created": "booked",
    "invitee.canceled": "cancelled",
    "invitee_no_show.created": "no-show",
    "invitee_no_show.deleted": "no-show-undone",
}
_POSTS: dict[str, type[Post[Any]]] = {"booked": Post[NewInvitee], "cancelled": Post[Invitee]}


def verify(body: bytes, header: str | None, keys: tuple[str, ...], now_seconds: float) -> None:
    """Check that Calendly sent a body, and did so recently ("Webhook Signatures").

    Args:
        body: the raw body.
        header: `Calendly-Webhook-Signature`: `t=<Unix seconds>,v1=<hex HMAC-SHA256 of t, a dot and the body>`; there
            may be several v1.
        keys: CALENDLY_SIGNING_KEY, and the one that it replaces; without any, everything is refused.
        now_seconds: the time, in Unix seconds.

    Raises:
        WebhookError: 401.
    """
    if not any(keys):
        raise WebhookError(
            401, "no key is set here: set CALENDLY_SIGNING_KEY to the signing key of the webhook subscription"
        )
    sent, signatures = _signed(header)
    expected = [hmac.new(key.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest() for key in keys]
    if not any([proofs.is_one_of(signature, expected) for signature in signatures]):
        raise WebhookError(
            401, "the signature is wrong: CALENDLY_SIGNING_KEY must be the signing key of the subscription"
        )
    if abs(now_seconds - int(sent)) > TOLERANCE_SECONDS:
        raise WebhookError(
            401, "the signature is not from the last three minutes: if it was just sent, correct this machine's clock"
        )


def _signed(header: str | None) -> tuple[str, list[str]]:
    """The header's t, as it was signed, and each of its v1."""
    pairs = [part.strip().partition("=") for part in (header or "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise WebhookError(
            401, "Calendly-Webhook-Signature is missing or malformed: create the subscription with a signing key"
        )
    return times[0], [value for name, _, value in pairs if name == "v1"]


def events(body: bytes) -> CalendarReport:
    """Read what Calendly reports about a meeting: at most one event.

    Only what the event needs is required; any other value that does not fit counts as not given.

    A reschedule arrives as an `invitee.canceled` of the old invitee and an `invitee.created` whose `old_invitee` names
    it, in either order.

    Its uid is the last part of the invitee's URI; several invitees of one meeting have URIs of their own. Its key holds
    the envelope's `created_at`, the time of the event and not of the delivery; a no-show mark has its own URI, which is
    used instead.

    Args:
        body: the raw body, already verified.
    """
    try:
        posted = json_object(body)
        name = read(Trigger, posted).event
        event = _event(name, posted) if name in _WHAT else None
    except Unread as error:
        return CalendarReport(unread=error.what)
    return CalendarReport((event,) if event else ())


def _event(name: str, posted: dict[str, Any]) -> MeetingEvent:
    what = _WHAT[name]
    post = read(_POSTS.get(what, Post[NamedInvitee]), posted)
    invitee, meeting, at = post.payload, post.payload.scheduled_event, milliseconds(post.created_at)
    mark = invitee.no_show if what == "no-show" else None
    return MeetingEvent(
        what=what,
        key=f"calendly:{name}:{mark.uri}" if mark else f"calendly:{name}:{invitee.uri}:{at}",
        uid=_last_part(invitee.uri),
        at=at,
        starts=milliseconds(meeting.start_time) if meeting else None,
        replaces=_last_part(invitee.old_invitee) if what == "booked" and invitee.old_invitee else None,
        contact=given(email=invitee.email, name=invitee.name, first_name=invitee.first_name, timezone=invitee.timezone),
        values=_values(invitee),
    )


def _last_part(uri: str) -> str:
    return uri.rsplit("/", 1)[1]


def _values(invitee: Invitee) -> dict[str, str]:
    meeting = invitee.scheduled_event
    return given(
        meeting_title=" ".join((meeting.name or "").split()) if meeting else None,
        meeting_place=_place(meeting.location) if meeting and meeting.location else None,
        reschedule_url=https(invitee.reschedule_url),
    )


def _place(location: Location) -> str | None:
    """Where to meet: a video link, else the location as it was written; a link there counts only from the host, never
    from the invitee."""
    hosts_link = https(location.location) if location.type == "custom" else None
    return https(location.join_url) or hosts_link or location.plain_location
