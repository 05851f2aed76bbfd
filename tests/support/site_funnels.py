"""Every funnel of the demo site: who goes which way, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.site_visitor import ZONE
from tests.support.site_ways import CONSENT, PERSON, SCORES, Way, assessment, book, booked_then, christmas, operator
from tests.system.test_funnels import spelled

SOON = "Demo: in 3 seconds"
FIELDS = PERSON | {"business_name"} | CONSENT
DETAILS = {"email", "name", "business_name", "timezone"} | CONSENT | SCORES
BOOKING = {"action", "kind", "starts_at", "name", "email", "timezone"}


@dataclass(frozen=True)
class Funnel:
    """What must come of one way in.

    Attributes:
        way: how the visitor goes it.
        posts: where the page posts to, and the names of all fields of the last body.
        values: some of them.
        slug: the campaign; "" where none begins.
        emails: the templates that we send, in order.
        at: when each step is due, in testing steps from the anchor.
        says: what the emails name, beside the visitor.
        segment: as Notion shows it.
    """

    way: Way
    posts: tuple[str, set[str]]
    values: dict[str, Any] = field(default_factory=dict)
    slug: str = ""
    emails: str = ""
    at: tuple[int, ...] = (0, 1, 2)
    says: tuple[str, ...] = ()
    segment: str | None = None

    @property
    def templates(self) -> list[str]:
        """The ids of the templates."""
        return spelled(self.emails) if self.emails else []


def _assessed(colors: list[str], segment: str, letter: str, score: int) -> Funnel:
    values = {"assessment_score": score, "red_systems": colors.count("red"), "orange_systems": 0}
    emails = f"busos_email_1 2{letter} 3 4 5{letter}"
    return Funnel(
        assessment(colors), ("/webhook/assessment", DETAILS), values, "busos", emails, (0, 1, 2, 3, 4), segment=segment
    )


def _five_days(own_email: str, fields: set[str], emails: str) -> Funnel:
    way = assessment(["red"], "/christmas", own_email)
    posts = ("/webhook/christmas-assessment", DETAILS | fields)
    return Funnel(way, posts, {"email_1_status": own_email}, "five-day", emails, (0, 1, 2, 3, 4), segment="URGENT")


_MISSED = {"starts": "2026-01-05T10:00", "event": "call-1"}
_MOVED = BOOKING | {"uid", "previous_start"}
_SPECIAL = ("/webhook/christmas-signup", FIELDS)
_REMINDERS = "reminder_email_1 2"
FUNNELS = {
    "Ada": Funnel(
        christmas("Use a sample result"),
        (_SPECIAL[0], FIELDS | SCORES),
        {"assessment_score": 45, "red_systems": 2},
        "christmas",
        "christmas_email_1 2_critical 3 4 5_critical 6 7",
        (0, 1, 2, 3, 4, 5, 6),
        ("Ada & Co", "45"),
        "CRITICAL",
    ),
    "Tracy": Funnel(christmas("I have not taken it"), _SPECIAL),
    "Carl": _assessed(["red", "red"], "CRITICAL", "a", 75),
    "Ursula": _assessed(["red"], "URGENT", "b", 88),
    "Olga": _assessed([], "OPTIMIZE", "c", 100),
    "Sven": _five_days("sent", {"email_1_status", "email_1_sent_at"}, "five_day_email_2 3 4 5"),
    "Frieda": _five_days("failed", {"email_1_status"}, "five_day_email_1 2 3 4 5"),
    "Nora": Funnel(
        operator("noshow", "Start the recovery", **_MISSED),
        ("/demo/operator/calendly-noshow", PERSON | {"starts_at", "event_id"}),
        {"starts_at": "2026-01-05T15:00:00.000Z", "event_id": "call-1"},
        "noshow-recovery",
        "noshow_email_1 2 3",
    ),
    "Paul": Funnel(
        operator("maybe", "Start the follow-up"),
        ("/demo/operator/postcall-maybe", PERSON),
        {},
        "postcall-maybe",
        "postcall_email_1 2 3",
    ),
    "Edsger": Funnel(
        operator("onboarding", "Start onboarding"),
        ("/demo/operator/onboarding-start", PERSON | {"package"}),
        {"package": "Foundations"},
        "onboarding",
        "onboarding_email_1 2 3",
        says=("Foundations",),
    ),
    "Bea": Funnel(
        book(SOON),
        ("/demo/calcom", BOOKING),
        {"action": "book", "timezone": ZONE},
        "booking-reminder",
        _REMINDERS,
        (-2, -1),
        ("First call", "https://meet.example.org/northside"),
    ),
    "Mona": Funnel(
        booked_then("Move the call", "Your call was moved.", SOON),
        ("/demo/calcom", _MOVED),
        {"action": "reschedule"},
        "booking-reminder",
        _REMINDERS,
        (-2, -1),
        ("First call",),
    ),
    "Nils": Funnel(
        booked_then("Mark as no-show", "Marked as no-show."),
        ("/demo/calcom", BOOKING | {"uid"}),
        {"action": "no-show"},
        "noshow-recovery",
        "noshow_email_1 2 3",
    ),
}
PRODUCTION = {
    **{name: FUNNELS[name] for name in ("Ada", "Carl", "Sven", "Nora", "Paul", "Edsger")},
    "Liam": Funnel(book(), ("/demo/calcom", BOOKING), slug="booking-reminder"),
    "Moira": Funnel(
        booked_then("Move the call", "Your call was moved.", ""), ("/demo/calcom", _MOVED), slug="booking-reminder"
    ),
    "Cleo": Funnel(
        booked_then("Cancel the call", "Your call was canceled."),
        ("/demo/calcom", BOOKING | {"uid"}),
        slug="booking-reminder",
    ),
    "Sana": Funnel(book(kind="workshop"), ("/demo/calcom", BOOKING), slug="booking-reminder"),
    "Tariq": Funnel(
        booked_then("Give the seat back", "Your call was canceled.", kind="workshop"),
        ("/demo/calcom", BOOKING | {"uid"}),
        slug="booking-reminder",
    ),
}
CANCELED = {"Cleo", "Tariq"}
AT_ONCE = {"Ada", "Carl", "Edsger"}
