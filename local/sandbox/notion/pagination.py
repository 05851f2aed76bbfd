"""Lists in pages: https://developers.notion.com/reference/intro#pagination."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion.wording import invalid, should_be

PAGE = 100


def page_size(value: Any, path: str) -> int:
    """How many results a response may have.

    Args:
        value: as sent in a body or a query; None for the maximum.
        path: where it is.
    """
    size = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if size is None or (size == 0 and not isinstance(size, bool)):
        return PAGE
    if isinstance(size, bool) or not isinstance(size, int):
        raise should_be(path, "a number or `undefined`", value)
    if not 0 < size <= PAGE:
        raise should_be(path, f"≤ `{PAGE}`" if size > 0 else "≥ `1`", size)
    return size


def cut(ids: list[str], size: int, cursor: Any) -> tuple[list[str], str | None]:
    """A page of results, and the cursor of the next one: the id it starts with.

    Args:
        ids: every result in order.
        size: how many at most.
        cursor: where to start, as sent; None for the beginning.
    """
    if cursor is not None and cursor not in ids:
        raise invalid(f"The start_cursor provided is invalid: {cursor}")
    start = 0 if cursor is None else ids.index(cursor)
    after = ids[start + size : start + size + 1]
    return ids[start : start + size], after[0] if after else None


def listed(kind: str, results: list[Any], next_cursor: str | None = None) -> dict[str, Any]:
    """A list as every route returns it.

    Args:
        kind: what is listed, such as `block`.
        results: this page of it.
        next_cursor: the start of the next page, if any.
    """
    more = {"next_cursor": next_cursor, "has_more": next_cursor is not None}
    return {"object": "list", "results": results, **more, "type": kind, kind: {}}
