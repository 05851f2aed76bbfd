"""The operations of `PATCH /pages/{id}/markdown`, on the text of a page's Markdown."""

from __future__ import annotations

import re
from typing import Any

from local.sandbox.notion.markdown import MAX_CHARS
from local.sandbox.notion.wording import UNDEFINED, a_text, an_array, an_object, invalid, only, should_be


def edited(now: str, body: dict[str, Any]) -> str:
    """The Markdown after the operation of a request.

    Args:
        now: the Markdown before it.
        body: the request.
    """
    operations = {
        "replace_content": _replaced,
        "update_content": _updated,
        "insert_content": _inserted,
        "replace_content_range": _in_range,
    }
    kind = body.get("type", UNDEFINED)
    if kind not in operations:
        raise should_be("body.type", "one of " + ", ".join(f'`"{name}"`' for name in operations), kind)
    only(body, ("type", kind))
    details = an_object(body.get(kind, UNDEFINED), f"body.{kind}")
    return operations[kind](now, details, f"body.{kind}")


def _text(details: dict[str, Any], name: str, path: str) -> str:
    return a_text(details.get(name, UNDEFINED), f"{path}.{name}", MAX_CHARS)


def _replaced(_now: str, details: dict[str, Any], path: str) -> str:
    return _text(details, "new_str", path)


def _updated(now: str, details: dict[str, Any], path: str) -> str:
    for index, edit in enumerate(an_array(details.get("content_updates", UNDEFINED), f"{path}.content_updates")):
        where = f"{path}.content_updates[{index}]"
        one = an_object(edit, where)
        old, new = _text(one, "old_str", where), _text(one, "new_str", where)
        if not old or old not in now:
            raise invalid(f"Could not find old_str in the page content: {old}")
        now = now.replace(old, new) if one.get("replace_all_matches") else now.replace(old, new, 1)
    return now


def _selected(now: str, selection: str) -> re.Match[str]:
    """The text selected by an ellipsis, `start...end`."""
    start, _, end = selection.partition("...")
    match = re.search(re.escape(start) + ".*?" + re.escape(end), now, re.DOTALL) if selection else None
    if match is None:
        raise invalid(f"Could not find the selection in the page content: {selection}")
    return match


def _inserted(now: str, details: dict[str, Any], path: str) -> str:
    new = _text(details, "content", path)
    position = an_object(details.get("position") or {}, f"{path}.position")
    if details.get("after"):
        at = _selected(now, _text(details, "after", path)).end()
        return f"{now[:at]}\n{new}\n{now[at:]}"
    return f"{new}\n{now}" if position.get("type") == "start" else f"{now}\n{new}"


def _in_range(now: str, details: dict[str, Any], path: str) -> str:
    match = _selected(now, _text(details, "content_range", path))
    return now[: match.start()] + _text(details, "content", path) + now[match.end() :]
