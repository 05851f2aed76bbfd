"""The placeholders that a template may contain, and how a contact's value for one is cleaned."""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS: Mapping[str, str] = {
    "first_name": "the person's first name",
    "name": "the person's full name",
    "business_name": "the name of the person's business",
    "assessment_score": "the assessment's score, 0 to 100",
    "red_systems": "how many of the eight systems are red",
    "orange_systems": "how many of the eight systems are orange",
    "yellow_systems": "how many of the eight systems are yellow",
    "green_systems": "how many of the eight systems are green",
    "segment": "CRITICAL, URGENT or OPTIMIZE",
    "booking_url": "where to book a call; may begin a link's address",
    "sender_name": "the name of the business that sends",
    "meeting_title": "what the meeting is about, as the calendar names it",
    "meeting_day": "the meeting's day where the attendee lives, such as Thursday, December 3",
    "meeting_time": "the meeting's time where the attendee lives, with its zone, such as 10:00 AM PST",
    "meeting_place": "where to meet: a video link, a phone number or an address",
    "reschedule_url": "where to move the meeting; may begin a link's address",
    "package": "what a new client has bought",
}
LINKS = ("booking_url", "reschedule_url")  # those that may begin a link's address
TYPED = ("first_name", "name", "business_name", "meeting_title", "meeting_place", "package")  # words that people typed

# Control characters, line and paragraph separators, direction overrides and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_JOINER = "\u2060"  # a word joiner: no reader sees it, and no mail program finds a link across it
_LINKED = re.compile(
    "(?<=\\w)[.\u3002\uff0e\uff61](?=\\w)|(?<=\\S)[@\uff20](?=\\S)|(?<=\\w)[:\uff1a](?=\\S)|(?<=/)(?=/)"
)
_TELEPHONE = re.compile(r"\+?\d(?:[ .()/-]{0,3}\d){6,}")


def one_line(text: str) -> str:
    """The text with every run of white space, including line ends, replaced by one space."""
    return " ".join(text.split())


def cleaned(name: str, value: object) -> str:
    """A value as it may be printed: one line without control characters; "" if there is none.

    Args:
        name: the placeholder that it is for.
        value: text, a number or None.

    Raises:
        ValueError: if the value of a placeholder that may begin a link is not a web address.
    """
    if value is None:
        return ""
    text = one_line(_UNPRINTABLE.sub(" ", f"{value:g}" if isinstance(value, float) else str(value)))
    if name in LINKS and text and not re.match(r"https?://\w", text):
        raise ValueError(f"{name} is not a web address; begin it with https://")
    return text


def defused(name: str, text: str) -> str:
    """What people typed, as a reader sees it, but such that no mail program makes a link of it: word joiners stand
    around dots, colons and at signs, and within telephone numbers. The link of a video call stays one.

    Args:
        name: the placeholder that it is for.
        text: its value, cleaned.
    """
    if name not in TYPED or (name == "meeting_place" and re.fullmatch(r"https://\S+", text)):
        return text
    apart = _TELEPHONE.sub(lambda number: _JOINER.join(number[0]), text)
    return _LINKED.sub(lambda sign: f"{_JOINER}{sign[0]}{_JOINER}" if sign[0] else _JOINER, apart)
