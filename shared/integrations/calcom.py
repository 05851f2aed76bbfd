"""What Cal.com posts: its signature, and a booking, a cancellation or a no-show as a MeetingEvent.

Sources: Cal.com's page "Webhooks" (events, signature, payload of version 2021-10-20) and, for what it does not say, the
source code (packages/features: webhooks/lib/sendPayload.ts, bookings/lib/handleNewBooking).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from shared.core import proofs
from shared.core.errors import WebhookError
from shared.domain.forms import MeetingEvent
from shared.integrations.calcom_payloads import Booking, NewBooking, NoShow, Post, Trigger
from shared.integrations.payloads import given, https, json_object, milliseconds, read

CLOUD, CLOUD_APP = "https://cal.com", "https://app.cal.com"
PHONE_ONLY = "@sms.cal.com"
_REFUSAL = "the event lacks what it needs; if the webhook in Cal.com has a custom payload template, remove it"


class _App(NamedTuple):
    places: tuple[str, str]  # what `location` and `videoCallData.type` call it
    link: re.Pattern[str]


_APPS = (
    _App(
        ("integrations:google:meet", "google_meet_video"),
        re.compile(r"https://meet\.google\.com/[a-z]{3}-[a-z]{4}-[a-z]{3}"),
    ),
    _App(
        ("integrations:office365_video", "office365_video"),
        re.compile(r"https://teams\.(?:microsoft|live)\.com/(?:l/meetup-join/[!-~]+|meet/[0-9]+(?:\?p=\w+)?)"),
    ),
)


def verify(body: bytes, signature: str | None, secrets: tuple[str, ...]) -> None:
    """Check that Cal.com sent a body ("Webhooks", section on verifying the authenticity of the received payload).

    Args:
        body: the raw body.
        signature: the header `X-Cal-Signature-256`: hex HMAC-SHA256 of the body, or `no-secret-provided` if no secret
            is set in Cal.com.
        secrets: CALCOM_WEBHOOK_SECRET, and the one that it replaces; without any, everything is refused.

    Raises:
        WebhookError: 401.
    """
    if not any(secrets):
        raise WebhookError(
            401, "no secret is set here: set CALCOM_WEBHOOK_SECRET to the secret of the webhook in Cal.com"
        )
    if signature == "no-secret-provided":
        raise WebhookError(401, "the webhook in Cal.com has no secret: enter the value of CALCOM_WEBHOOK_SECRET there")
    expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    if not proofs.is_one_of(signature or "", expected):
        raise WebhookError(
            401,
            "X-Cal-Signature-256 is missing or wrong: the webhook's secret in Cal.com and CALCOM_WEBHOOK_SECRET must "
            "be the same",
        )


def event(body: bytes) -> MeetingEvent | None:
    """Read what Cal.com reports about a meeting.

    Only what the event needs is required; any other value that does not fit counts as not given.

    A booking that awaits confirmation (BOOKING_REQUESTED) does not count yet. But if it replaces another, Cal.com has
    already dropped that one and names it nowhere else (handleNewBooking), so it counts as a cancellation.
    BOOKING_NO_SHOW_UPDATED lists the attendees whose mark has changed, without a start: `contact` holds the address of
    the first one. AFTER_GUESTS_CAL_VIDEO_NO_SHOW, Cal.com's own guess from who was in the call, is ignored: only a
    person's mark counts. A booker who left only a phone number is ignored, too.

    Args:
        body: the raw body, already verified.

    Returns:
        The event, or None if it is ignored.

    Raises:
        WebhookError: 400 if the body is not a JSON object, 422 with the faulty fields if the event lacks what it needs.
    """
    posted = json_object(body)
    trigger = read(Trigger, posted, _REFUSAL).trigger_event
    match trigger:
        case "BOOKING_CREATED" | "BOOKING_RESCHEDULED":
            return _booked(trigger, read(Post[NewBooking], posted, _REFUSAL))
        case "BOOKING_CANCELLED" | "BOOKING_REJECTED":
            return _cancelled(trigger, read(Post[Booking], posted, _REFUSAL))
        case "BOOKING_REQUESTED":
            return _moved(trigger, read(Post[Booking], posted, _REFUSAL))
        case "BOOKING_NO_SHOW_UPDATED":
            return _marked(trigger, read(Post[NoShow], posted, _REFUSAL))
    return None


def _booked(trigger: str, post: Post[NewBooking]) -> MeetingEvent | None:
    booking, at = post.payload, milliseconds(post.created_at)
    if booking.attendees[0].email.endswith(PHONE_ONLY):
        return None
    return MeetingEvent(
        what="booked",
        key=f"calcom:{trigger}:{booking.uid}:{at}",
        uid=booking.uid,
        at=at,
        starts=milliseconds(booking.start_time),
        replaces=booking.reschedule_uid if booking.reschedule_uid != booking.uid else None,
        contact=_contact(booking),
        values=_values(booking),
    )


def _cancelled(trigger: str, post: Post[Booking]) -> MeetingEvent:
    booking, at = post.payload, milliseconds(post.created_at)
    starts = milliseconds(booking.start_time) if booking.start_time else None
    return MeetingEvent(
        "cancelled", f"calcom:{trigger}:{booking.uid}:{at}", booking.uid, at, starts, contact=_contact(booking)
    )


def _moved(trigger: str, post: Post[Booking]) -> MeetingEvent | None:
    booking = post.payload
    if booking.reschedule_uid is None:
        return None
    dropped = booking.model_copy(update={"uid": booking.reschedule_uid, "start_time": booking.reschedule_start_time})
    return _cancelled(trigger, post.model_copy(update={"payload": dropped}))


def _marked(trigger: str, post: Post[NoShow]) -> MeetingEvent | None:
    if not post.payload.attendees:
        return None
    uid, first, at = post.payload.booking_uid, post.payload.attendees[0], milliseconds(post.created_at)
    return MeetingEvent(
        what="no-show" if first.no_show else "no-show-undone",
        key=f"calcom:{trigger}:{uid}:{at}",
        uid=uid,
        at=at,
        contact={"email": first.email},
    )


def _contact(booking: Booking) -> dict[str, str]:
    """The booker is the first attendee; guests come after (handleNewBooking)."""
    if not booking.attendees:
        return {}
    booker = booking.attendees[0]
    return given(email=booker.email, name=booker.name, first_name=booker.first_name, timezone=booker.time_zone)


def _values(booking: Booking) -> dict[str, str]:
    reschedule = f"{(booking.booker_url or CLOUD).rstrip('/')}/reschedule/{booking.uid}"
    return given(
        meeting_title=" ".join((booking.event_title or "").split()) or booking.title,
        meeting_place=_place(booking),
        reschedule_url=None if booking.disable_rescheduling else https(reschedule),
    )


def _place(booking: Booking) -> str | None:
    """Where to meet: a video link, else the location as it was written, never an app's code.

    `location` is what the booker's browser sent, unless that named a kind of place that the host offers: then it is
    what the host entered for it (getLocationValueForDB). Anything else is words, and counts only without a link.
    """
    plain = booking.plain_location
    written = plain if plain and not plain.startswith("integrations:") else None
    hosts_link = https(booking.location) if _offered_by_host(booking) else None
    return _video_link(booking) or hosts_link or written


def _offered_by_host(booking: Booking) -> bool:
    """Whether the booker only chose a kind of place and entered nothing (getBookingData)."""
    answer = booking.responses.location if booking.responses else None
    chosen = answer.value if answer else None
    return (
        chosen is not None
        and chosen.option_value in (None, "")
        and re.fullmatch(r"link|conferencing|integrations:[\w:]+", chosen.value or "") is not None
    )


def _video_link(booking: Booking) -> str | None:
    """The video app's own link; for Cal Video, Cal.com's page for this meeting.

    A booker can put any `metadata` into the booking page's address, and it replaces Cal.com's own. But for a new
    Google Meet or Teams call, the link is nowhere else, and after a reschedule it may be newer. So it counts only if it
    has the form of that app's links, and the booking is on that app.
    """
    told = https(booking.metadata.video_call_url if booking.metadata else None)
    own = https(booking.video_call_data.url if booking.video_call_data else None)
    if told and told in _pages(booking):
        return told
    apps = told if told and _is_of_app(told, booking) else None
    return (apps or own) if booking.reschedule_uid else (own or apps)


def _pages(booking: Booking) -> list[str]:
    """The addresses that Cal Video's page for a meeting may have: Cal.com's own, or the host's Cal.com."""
    return [f"{site.rstrip('/')}/video/{booking.uid}" for site in (CLOUD_APP, booking.booker_url) if site]


def _is_of_app(link: str, booking: Booking) -> bool:
    places = (booking.location, booking.video_call_data.type if booking.video_call_data else None)
    return any(place in app.places and app.link.fullmatch(link) for app in _APPS for place in places)
