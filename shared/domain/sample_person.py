"""A made-up person for previews: one for each segment."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.segments import Segment

_SYSTEMS: Mapping[Segment, tuple[int, int, int, int, int]] = {
    "CRITICAL": (38, 3, 2, 2, 1),
    "URGENT": (57, 1, 2, 3, 2),
    "OPTIMIZE": (81, 0, 1, 2, 5),
}


def values(segment: Segment, *, booking_url: str, sender_name: str) -> dict[str, object]:
    """A value for every placeholder.

    Args:
        segment: how urgent the person's situation is.
        booking_url: where to book a call.
        sender_name: the business that sends.
    """
    score, red, orange, yellow, green = _SYSTEMS[segment]
    return {
        "first_name": "Maria",
        "name": "Maria Rossi",
        "business_name": "Rossi Plumbing",
        "assessment_score": score,
        "red_systems": red,
        "orange_systems": orange,
        "yellow_systems": yellow,
        "green_systems": green,
        "segment": segment,
        "booking_url": booking_url,
        "sender_name": sender_name,
        "meeting_title": "Diagnostic call",
        "meeting_day": "Thursday, December 3",
        "meeting_time": "10:00 AM PST",
        "meeting_place": "https://meet.example.org/rossi",
        "reschedule_url": booking_url,
        "package": "Operations Reset",
    }
