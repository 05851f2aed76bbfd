"""One condition of a filter: the words that a property's type allows, and when a value meets them
(https://developers.notion.com/reference/filter-data-source-entries)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.sandbox.notion import dates
from local.sandbox.notion.values import TEXTS
from local.sandbox.notion.wording import an_object, expect, only, should_be

TIMESTAMPS = ("created_time", "last_edited_time")
DATES = ("date", *TIMESTAMPS)
Test = Callable[[Any, Any], bool]

_EMPTY: dict[str, Test] = {"is_empty": lambda value, _: not value, "is_not_empty": lambda value, _: bool(value)}
_TEXT: dict[str, Test] = {
    "equals": lambda value, wanted: (value or "") == wanted,
    "does_not_equal": lambda value, wanted: (value or "") != wanted,
    "contains": lambda value, wanted: wanted.lower() in (value or "").lower(),
    "does_not_contain": lambda value, wanted: wanted.lower() not in (value or "").lower(),
    "starts_with": lambda value, wanted: (value or "").lower().startswith(wanted.lower()),
    "ends_with": lambda value, wanted: (value or "").lower().endswith(wanted.lower()),
    **_EMPTY,
}
_NUMBER: dict[str, Test] = {
    "equals": operator.eq,
    "does_not_equal": operator.ne,
    "greater_than": lambda value, wanted: value is not None and value > wanted,
    "less_than": lambda value, wanted: value is not None and value < wanted,
    "greater_than_or_equal_to": lambda value, wanted: value is not None and value >= wanted,
    "less_than_or_equal_to": lambda value, wanted: value is not None and value <= wanted,
    "is_empty": lambda value, _: value is None,
    "is_not_empty": lambda value, _: value is not None,
}
_CHOICE: dict[str, Test] = {
    "equals": lambda value, wanted: value in wanted if isinstance(wanted, list) else value == wanted,
    "does_not_equal": lambda value, wanted: value not in wanted if isinstance(wanted, list) else value != wanted,
    **_EMPTY,
}
_LIST: dict[str, Test] = {
    "contains": lambda value, wanted: wanted in value,
    "does_not_contain": lambda value, wanted: wanted not in value,
    **_EMPTY,
}
_WITHIN = {"this_week": (-7, 7), "past_week": (-7, 0), "past_month": (-30, 0), "past_year": (-365, 0)}
_WITHIN |= {"next_week": (0, 7), "next_month": (0, 30), "next_year": (0, 365)}
_DATE = ("equals", "before", "after", "on_or_before", "on_or_after", *_WITHIN, *_EMPTY)
_CONDITIONS: dict[str, dict[str, Test]] = {
    **dict.fromkeys(TEXTS, _TEXT),
    "number": _NUMBER,
    "unique_id": _NUMBER,
    "checkbox": {"equals": operator.eq, "does_not_equal": operator.ne},
    "select": _CHOICE,
    "status": _CHOICE,
    "multi_select": _LIST,
    "relation": _LIST,
}


def on_value(kind: str, given: Any, path: str) -> Callable[[Any], bool]:
    """A condition on a property that is not one of DATES, as a function on its plain value.

    Args:
        kind: the property's type.
        given: the condition of the request.
        path: where the condition is.
    """
    word, wanted = _single(given, _CONDITIONS[kind], path)
    _check_wanted(kind, word, wanted, f"{path}.{word}")
    test = _CONDITIONS[kind][word]
    return lambda value: test(value, wanted)


def on_date(kind: str, given: Any, now: float, path: str) -> Callable[[datetime | None], bool]:
    """A condition on one of DATES, as a function on its moment; None where a page has none.

    Args:
        kind: the property's type.
        given: the condition of the request.
        now: seconds since 1970, for `today` and the like.
        path: where the condition is.
    """
    word, wanted = _single(given, _DATE, path)
    if word in _EMPTY:
        _check_wanted(kind, word, wanted, f"{path}.{word}")
        return lambda at: (at is None) == (word == "is_empty")
    if word in _WITHIN:
        today = dates.span("today", now)[0]
        low, high = (today + days * dates.DAY for days in _WITHIN[word])
        return lambda at: at is not None and low <= at < high + dates.DAY
    try:
        start, end = dates.span(expect(wanted, f"{path}.{word}", str, "a string"), now)
    except ValueError:
        raise should_be(f"{path}.{word}", "a valid ISO 8601 date string", wanted) from None
    a_day = end - start == dates.DAY
    tests: dict[str, Callable[[datetime], bool]] = {
        "equals": lambda at: start <= at < end,
        "before": lambda at: at < start,
        "after": lambda at: at >= end if a_day else at > start,
        "on_or_before": lambda at: at < end if a_day else at <= start,
        "on_or_after": lambda at: at >= start,
    }
    test = tests[word]
    return lambda at: at is not None and test(at)


def _single(given: Any, known: Any, path: str) -> tuple[str, Any]:
    condition = an_object(given, path)
    only(condition, known, path)
    if len(condition) != 1:
        raise should_be(f"{path}.{next(iter(known))}", "defined", condition)
    return next(iter(condition.items()))


def _check_wanted(kind: str, word: str, wanted: Any, path: str) -> None:
    if word in _EMPTY:
        if wanted is not True:
            raise should_be(path, "`true`", wanted)
    elif kind in ("number", "unique_id"):
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            raise should_be(path, "a number", wanted)
    elif kind == "checkbox":
        expect(wanted, path, bool, "a boolean")
    elif not (kind in ("select", "status") and isinstance(wanted, list)):
        expect(wanted, path, str, "a string")
