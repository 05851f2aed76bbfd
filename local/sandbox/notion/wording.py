"""Notion's messages for invalid requests, and the checks shared by every route
(https://developers.notion.com/reference/errors)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from typing import Any, Final

from local.sandbox.notion.users import BOT, INTEGRATION
from local.sandbox.refusal import Refusal

ARCHIVED = "Can't edit block that is archived. You must unarchive the block before editing."
_SHOWN = 55


class _Undefined:
    """A missing field."""


UNDEFINED: Final = _Undefined()


def invalid(message: str) -> Refusal:
    """The refusal of an invalid request.

    Args:
        message: Notion's message.
    """
    return Refusal(400, "validation_error", message)


def _shown(value: Any) -> str:
    if value is UNDEFINED:
        return "undefined"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def should_be(path: str, what: str, value: Any) -> Refusal:
    """The refusal of one field.

    Args:
        path: where it is, such as `body.properties.Email.email`.
        what: what it should be, such as `an array`.
        value: what it is instead; UNDEFINED if missing.
    """
    root = path.partition(".")[0]
    return invalid(f"{root} failed validation: {path} should be {what}, instead was `{_shown(value)}`.")


def not_found(kind: str, object_id: str) -> Refusal:
    """The refusal of an id that the integration cannot see.

    Args:
        kind: `page`, `database`, `data_source` or `block`.
        object_id: the id.
    """
    message = (
        f"Could not find {kind} with ID: {object_id}. "
        f'Make sure the relevant pages and databases are shared with your integration "{INTEGRATION}".'
    )
    return Refusal(404, "object_not_found", message, additional={"integration_id": BOT})


def expect(value: Any, path: str, kind: type, what: str) -> Any:
    """A value that must be of a JSON type.

    Args:
        value: the value; UNDEFINED if missing.
        path: where it is.
        kind: `dict`, `list`, `str` or `bool`.
        what: the type in Notion's words.
    """
    if not isinstance(value, kind):
        raise should_be(path, "defined" if value is UNDEFINED else what, value)
    return value


def an_object(value: Any, path: str) -> dict[str, Any]:
    """A value that must be an object."""
    found: dict[str, Any] = expect(value, path, dict, "an object")
    return found


def an_array(value: Any, path: str, at_most: int = 100) -> list[Any]:
    """A value that must be an array of limited length."""
    found: list[Any] = expect(value, path, list, "an array")
    if len(found) > at_most:
        raise should_be(f"{path}.length", f"≤ `{at_most}`", len(found))
    return found


def a_text(value: Any, path: str, at_most: int, at_least: int = 0) -> str:
    """A value that must be a text of limited length, counted in UTF-16 units as JavaScript does."""
    text: str = expect(value, path, str, "a string")
    length = len(text.encode("utf-16-le")) // 2
    if length > at_most:
        raise should_be(f"{path}.length", f"≤ `{at_most}`", length)
    if length < at_least:
        raise should_be(f"{path}.length", f"≥ `{at_least}`", length)
    return text


def only(body: dict[str, Any], allowed: Collection[str], path: str = "body") -> None:
    """Refuse a field that does not belong in an object.

    Args:
        body: the object.
        allowed: the allowed fields.
        path: where it is.
    """
    for name, value in body.items():
        if name not in allowed:
            raise should_be(f"{path}.{name}", "not present", value)


def an_id(text: Any, path: str) -> str:
    """An id with dashes, given with or without them.

    Args:
        text: the given id.
        path: where it is, such as `path.page_id`.
    """
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise should_be(path, "a valid uuid", text) from None
