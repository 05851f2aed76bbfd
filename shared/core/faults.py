"""What is wrong with a value, in plain words. Pydantic's own messages show types, regular expressions and indexes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be keys with values",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "extra_forbidden": "there is no such key",
}


def sentence(fault: ErrorDetails, examples: Mapping[str, str] | None = None) -> str:
    """One fault in words, to follow the value's name and a colon.

    Args:
        fault: one error of a ValidationError.
        examples: examples of values whose form is checked, by the last name in the fault's location.
    """
    kind, context = fault["type"], fault.get("ctx") or {}
    if kind == "too_short" and context.get("min_length") == 1:
        return "must not be empty"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    if kind in ("value_error", "assertion_error"):
        return fault["msg"].partition(", ")[2]
    example = (examples or {}).get(str(fault["loc"][-1]) if fault["loc"] else "")
    return "is not valid" + (f"; write it like {example}" if example else "")


def place(fault: ErrorDetails) -> str:
    """Where a fault is, counting from 1: `("steps", 1, "after")` is `step 2, after`."""
    words: list[str] = []
    for part in fault["loc"]:
        if isinstance(part, str):
            words.append(part)
        else:
            name = words.pop() if words else "the list"
            words.append(f"step {part + 1}" if name == "steps" else f"entry {part + 1} of {name}")
    return ", ".join(words)


def examples_of(model: type[BaseModel]) -> dict[str, str]:
    """The example of each field of a model that has one."""
    return {name: str(field.examples[0]) for name, field in model.model_fields.items() if field.examples}


def meant(name: str, known: Iterable[str], cutoff: float = 0.8) -> str:
    """`; did you mean ...?` if a name is close to a known one, else an empty string.

    Args:
        name: as it was written.
        known: the names that exist.
        cutoff: how alike two names must be, from 0 to 1.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""


def all_of(error: ValidationError, examples: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Each fault in an error: where it is and what it is."""
    return [(place(fault), sentence(fault, examples)) for fault in _details(error)]


def _details(error: ValidationError) -> list[Any]:
    return error.errors(include_url=False, include_input=False)
