"""What Cal.com posts: its signature, and a booking, a cancellation or a no-show as a MeetingEvent.

Sources: Cal.com's page "Webhooks" (events, signature, payload of version 2021-10-20) and, for what it does not say, the
source code (packages/features: webhooks/lib/sendPayload.ts, bookings/lib/handleNewBooking, handleSeats and
handleCancelBooking).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from shared.core import proofs
from shared.core.errors import Unread, WebhookError
from shared.domain.forms import CalendarReport, MeetingEvent
from shared.integrations.calcom_payloads import Attendee, Booking, Mark, NewBooking, NoShow, Part, Post, Trigger
from shared.integrations.payloads import given, https, json_object, milliseconds, read

CLOUD, CLOUD_APP = "https://cal.com", "https://app.cal.com"
PHONE_ONLY = "@sms.cal.com"
Item = TypeVar("Item", bound=Part)


class _Delivery(NamedTuple):
    trigger: str
    body: bytes
    received: int

    def at(self, post: Post[Any]) -> int:
        return milliseconds(post.created_at) if post.created_at else self.received

    def key(self, uid: str, post: Post[Any], attendee: str = "") -> str:
        when = milliseconds(post.created_at) if post.created_at else hashlib.sha256(self.body).hexdigest()
        return f"calcom:{self.trigger}:{uid}:{when}" + (f":{attendee}" if attendee else "")


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


def events(body: bytes, received: int) -> CalendarReport:
    """Read what Cal.com reports about a meeting. What cannot be read never costs what can.

    Only what an event needs is required; any other value that does not fit counts as not given.

    Of an event with seats (seatsPerTimeSlot) each attendee counts: several bookers share one uid. A seat that is taken
    or given back names its attendee; a slot that the host moves or cancels names all. A seat that moves names its
    attendee first, and then may name those who have sat in the new slot all along (attendeeRescheduleSeatedBooking).
    Of any other booking, the first attendee that can be read is the booker; guests come after.

    A booking that awaits confirmation (BOOKING_REQUESTED) does not count yet. But if it replaces another, Cal.com has
    already dropped that one and names it nowhere else (handleNewBooking), so it counts as a cancellation.
    A cancellation that names the recurring event is of all that remains of it (handleCancelBooking).
    BOOKING_NO_SHOW_UPDATED lists the attendees whose mark has changed, without a start. AFTER_GUESTS_CAL_VIDEO_NO_SHOW,
    Cal.com's own guess from who was in the call, is ignored: only a person's mark counts. A booker who left only a
    phone number is ignored, too.

    Args:
        body: the raw body, already verified.
        received: when it arrived, in milliseconds since 1970 UTC; older releases of Cal.com do not say when it was.
    """
    try:
        posted = json_object(body)
        trigger = read(Trigger, posted).trigger_event
        delivery = _Delivery(trigger, body, received)
        match trigger:
            case "BOOKING_CREATED" | "BOOKING_RESCHEDULED":
                return _booked(delivery, read(Post[NewBooking], posted))
            case "BOOKING_CANCELLED" | "BOOKING_REJECTED":
                return _cancelled(delivery, read(Post[Booking], posted))
            case "BOOKING_REQUESTED":
                return _moved(delivery, read(Post[Booking], posted))
            case "BOOKING_NO_SHOW_UPDATED":
                return _marked(delivery, read(Post[NoShow], posted))
    except Unread as error:
        return CalendarReport(unread=error.what)
    return CalendarReport()


def _booked(delivery: _Delivery, post: Post[NewBooking]) -> CalendarReport:
    booking = post.payload
    people, unread = _attendees(booking)
    return CalendarReport(
        tuple(
            MeetingEvent(
                what="booked",
                key=delivery.key(booking.uid, post, person.email if booking.seats_per_time_slot else ""),
                uid=booking.uid,
                at=delivery.at(post),
                starts=milliseconds(booking.start_time),
                replaces=booking.reschedule_uid if booking.reschedule_uid != booking.uid else None,
                seated=bool(booking.seats_per_time_slot),
                listed=listed,
                series=_series(booking),
                contact=_contact(person),
                values=_values(booking),
            )
            for listed, person in people
            if not person.email.endswith(PHONE_ONLY)
        ),
        unread,
    )


def _cancelled(delivery: _Delivery, post: Post[Booking]) -> CalendarReport:
    booking, seated = post.payload, bool(post.payload.seats_per_time_slot)
    people: Sequence[tuple[int, Attendee | None]]
    people, unread = _attendees(booking)
    if seated and not booking.attendees:
        return CalendarReport(unread=("payload.attendees is missing",))
    if not seated:  # the booking ends, regardless of whom it names
        people, unread = people or [(0, None)], ()
    ends_series = delivery.trigger == "BOOKING_CANCELLED"  # a rejected series has not begun
    dates = [milliseconds(date) for date in booking.cancelled_dates or () if date and ends_series]
    return CalendarReport(
        tuple(
            MeetingEvent(
                what="cancelled",
                key=delivery.key(booking.uid, post, person.email if person and seated else ""),
                uid=booking.uid,
                at=delivery.at(post),
                starts=milliseconds(booking.start_time) if booking.start_time else None,
                seated=seated or None,
                listed=listed,
                series=_series(booking) if ends_series and booking.cancelled_events_count != 1 else None,
                dates=tuple(dates),
                contact=_contact(person) if person else {},
            )
            for listed, person in people
        ),
        unread,
    )


def _moved(delivery: _Delivery, post: Post[Booking]) -> CalendarReport:
    booking = post.payload
    if booking.reschedule_uid is None:
        return CalendarReport()
    changes = {"uid": booking.reschedule_uid, "start_time": booking.reschedule_start_time}
    return _cancelled(delivery, post.model_copy(update={"payload": booking.model_copy(update=changes)}))


def _marked(delivery: _Delivery, post: Post[NoShow]) -> CalendarReport:
    uid = post.payload.booking_uid
    marks, unread = _each(Mark, post.payload.attendees)
    return CalendarReport(
        tuple(
            MeetingEvent(
                what="no-show" if mark.no_show else "no-show-undone",
                key=delivery.key(uid, post, mark.email),
                uid=uid,
                at=delivery.at(post),
                seated=None,
                listed=listed,
                contact={"email": mark.email},
            )
            for listed, mark in marks
        ),
        unread,
    )


def _series(booking: Booking) -> str | None:
    """Cal.com posts no id of a series; a booker has one series of an event type."""
    return str(booking.event_type_id) if booking.recurring_event is not None and booking.event_type_id else None


def _attendees(booking: Booking) -> tuple[list[tuple[int, Attendee]], tuple[str, ...]]:
    return _each(Attendee, booking.attendees or [], only_first=not booking.seats_per_time_slot)


def _each(
    model: type[Item], given: list[Any], *, only_first: bool = False
) -> tuple[list[tuple[int, Item]], tuple[str, ...]]:
    """Those of a list that can be read, each with its place, and what could not be read."""
    found: list[tuple[int, Item]] = []
    unread: list[str] = []
    for number, item in enumerate(given):
        try:
            found.append((number, read(model, item, f"payload.attendees.{number}")))
        except Unread as error:
            unread += error.what
        if found and only_first:
            break
    return found, tuple(unread)


def _contact(person: Attendee) -> dict[str, str]:
    return given(email=person.email, name=person.name, first_name=person.first_name, timezone=person.time_zone)


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
