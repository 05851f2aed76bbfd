"""One object of the workspace, and how the file keeps it."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, Literal

Kind = Literal["page", "database", "data_source", "block"]


@dataclass(frozen=True)
class Record:
    """One object.

    Attributes:
        position: its place in the order of creation, from 1.
        parent: the id of its parent; None for the workspace.
        place: its place among its siblings; a block may be inserted between two others.
        created_at, edited_at: seconds since 1970.
        created_by, edited_by: ids of users.
        title: as plain text, for search.
        text: the data of its kind, as JSON; read it as `body`.
    """

    position: int
    id: str
    kind: Kind
    parent: str | None
    place: float
    created_at: float
    created_by: str
    edited_at: float
    edited_by: str
    in_trash: bool
    title: str
    text: str

    @cached_property
    def body(self) -> dict[str, Any]:
        """The data of its kind. Changes are stored only by `Records.save`."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Record:
        """The object of a row."""
        return cls(*(*row[:-3], bool(row[-3]), *row[-2:]))  # SQLite keeps a bool as a number

    def row(self) -> tuple[Any, ...]:
        """The row of the object: the table's columns are the fields, in the same order."""
        return astuple(self)


def dumped(value: Any) -> str:
    """A value as the file keeps it."""
    return json.dumps(value, separators=(",", ":"))
