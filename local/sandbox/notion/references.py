"""The objects that a request names: by id, or as the parent of a new one."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion.record import Kind, Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.wording import UNDEFINED, an_id, an_object, not_found, should_be

_PARENTS: dict[str, Kind] = {
    "page_id": "page",
    "database_id": "database",
    "data_source_id": "data_source",
    "block_id": "block",
}


def found(records: Records, object_id: str, kind: Kind, where: str = "path") -> Record:
    """An object that a request names.

    Args:
        records: the workspace.
        object_id: as it was given, with or without dashes.
        kind: what it must be.
        where: where the id is, for the refusal: `path` or a field of the body.
    """
    record_id = an_id(object_id, f"{where}.{kind}_id")
    record = records.get(record_id, kind)
    if record is None:
        raise not_found(kind, record_id)
    return record


def is_below_trash(records: Records, record: Record) -> bool:
    """Whether something that an object is in is in the trash."""
    above = records.get(record.parent) if record.parent else None
    return above is not None and (above.in_trash or is_below_trash(records, above))


def parent_of(records: Records, body: dict[str, Any], *kinds: Kind) -> Record | None:
    """The parent of a new object; None for the workspace.

    Args:
        records: the workspace.
        body: the request, with `parent`.
        kinds: the allowed parents.
    """
    given = an_object(body.get("parent", UNDEFINED), "body.parent")
    for field, kind in _PARENTS.items():
        if field in given and kind in kinds:
            return found(records, given[field], kind, "body.parent")
    if given.get("workspace") is True or given.get("type") == "workspace":
        return None
    raise should_be(f"body.parent.{kinds[0]}_id", "defined", UNDEFINED)
