"""A row as a form: its properties as fields, and what a person changed in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from local.sandbox.notion.record import Record
from local.sandbox.notion.schema import Schema, title_of
from local.sandbox.notion.values import LINES, Property, plain

_EDITABLE = ("title", "rich_text", "number", "checkbox", "select", "status", *LINES)


@dataclass(frozen=True)
class Field:
    """A property of a row for display.

    Attributes:
        value: as simple JSON.
        options: a select's options.
        editable: whether the form can change it.
    """

    id: str
    name: str
    kind: str
    value: Any
    options: tuple[str, ...]
    editable: bool

    @property
    def text(self) -> str:
        """The value for a form."""
        return "" if self.value is None or self.value is False else str(self.value)


def fields(schema: Schema, page: Record) -> list[Field]:
    """A row's properties in table order.

    Args:
        schema: its data source's properties.
        page: the row.
    """
    return [_field(prop, page) for prop in columns(schema)]


def _field(prop: Property, page: Record) -> Field:
    kind = prop["type"]
    options = tuple(option["name"] for option in prop[kind]["options"]) if kind in ("select", "status") else ()
    return Field(prop["id"], prop["name"], kind, plain(prop, page), options, kind in _EDITABLE)


def columns(schema: Schema) -> list[Property]:
    """The properties in table order, title first."""
    title = title_of(schema)
    return [title, *(prop for prop in schema.values() if prop is not title)]


def _sent(prop: Property, text: str) -> Any:
    """A form's text as the API expects it."""
    kind = prop["type"]
    if kind in ("title", "rich_text"):
        return {kind: [{"text": {"content": part}} for part in re.findall(r"(?s).{1,1000}", text)]}
    if kind == "checkbox":
        return {kind: bool(text)}
    if kind in ("select", "status"):
        return {kind: {"name": text} if text else None}
    return {kind: _number(text) if text and kind == "number" else text or None}


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _words(text: str) -> str:
    """A text as a one-line form field returns it."""
    return " ".join(text.split())


def changes(schema: Schema, form: dict[str, str]) -> dict[str, Any]:
    """What a person changed, compared with what the form showed, so that the integration's later writes stay.

    Args:
        schema: the properties of the row's data source.
        form: the texts by property id, and under `was <id>` those that the form showed.

    Returns:
        The changed values by property id, as the API expects them.

    Raises:
        ValueError: if a number's text is not a number.
    """
    texts = [(prop, _words(form.get(prop["id"], ""))) for prop in schema.values() if f"was {prop['id']}" in form]
    return {prop["id"]: _sent(prop, text) for prop, text in texts if text != _words(form[f"was {prop['id']}"])}
