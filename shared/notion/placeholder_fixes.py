"""Fixes the `{{ placeholders }}` that an owner writes in Notion: curly quotes, names from earlier builds, obvious
defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.emails.placeholders import PLACEHOLDERS

ALIASES: Mapping[str, tuple[str, ...]] = {
    "first_name": ("firstname", "first", "fname", "customer_first_name", "contact_first_name"),
    "name": ("full_name", "customer_name", "contact_name", "client_name"),
    "business_name": ("businessname", "business", "company", "company_name"),
    "assessment_score": ("score", "overall_score", "total_score"),
    "red_systems": ("red", "red_count"),
    "orange_systems": ("orange", "orange_count"),
    "yellow_systems": ("yellow", "yellow_count"),
    "green_systems": ("green", "green_count"),
    "segment": ("priority",),
    "booking_url": (
        "booking_link",
        "calendly_link",
        "calendly_url",
        "calcom_link",
        "cal_link",
        "calendar_link",
        "schedule_link",
    ),
    "reschedule_url": ("reschedule_link",),
    "meeting_title": ("event_title", "meeting_name"),
    "meeting_place": ("meeting_link", "meeting_location"),
    "package": ("package_name",),
}
"""Names from earlier builds; case, underscores and a path before the name (`$json.firstName`) do not matter."""
DEFAULTS: Mapping[str, str] = {"first_name": "there", "name": "there", "business_name": "your business"}

_QUOTES = {
    ord(curly): plain
    for plain, all in (('"', "“”„‟″«»"), ("'", "\u2018\u2019\u201a\u201b\u2032"), (" ", "\u00a0\u202f"))
    for curly in all
}
_BRACES = re.compile(r"\{\{([^{}\n]*)\}\}")
_INSIDE = re.compile(r"\s*(?:[\w$]+\.)*(?P<name>\w+)\s*(?P<default>\|\s*default\(.*\)\s*)?")


def _squeezed(name: str) -> str:
    return name.replace("_", "").lower()


_KNOWN = {_squeezed(alias): name for name in PLACEHOLDERS for alias in (name, *ALIASES.get(name, ()))}


def fixed(text: str) -> str:
    """The text with every placeholder as templates know it; what cannot be fixed stays, and the check reports it.

    Args:
        text: a subject, a preview or Markdown.
    """
    return _BRACES.sub(_placeholder, text)


def _placeholder(braces: re.Match[str]) -> str:
    inside = braces[1].translate(_QUOTES)
    match = _INSIDE.fullmatch(inside)
    if not match:
        return f"{{{{{inside}}}}}"
    name = _KNOWN.get(_squeezed(match["name"]))
    if name is None:
        return f"{{{{ {inside.strip()} }}}}"
    default = match["default"] or (f'| default("{DEFAULTS[name]}")' if name in DEFAULTS else "")
    return f"{{{{ {f'{name} {default}'.strip()} }}}}"
