"""Reads what other systems post: required fields strictly, all others only if they fit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from shared.core import json_body
from shared.core.errors import Unread
from shared.core.faults import sentence

_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?([/?#][^\s\"<>\\]*)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Anything = TypeVar("Anything")
Model = TypeVar("Model", bound=BaseModel)


def _or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


# A field that nothing depends on: a value that does not fit counts as not given.
Loose = Annotated[Anything | None, WrapValidator(_or_none)]
Line = Annotated[str, Field(max_length=1000)]


def json_object(body: bytes) -> dict[str, Any]:
    """A body as a JSON object; raises Unread if it is not one."""
    try:
        return json_body.read(body)
    except ValueError as error:
        raise Unread(str(error)) from None


def read(model: type[Model], posted: object, place: str = "") -> Model:
    """What was posted, as a model.

    Args:
        model: the model.
        posted: the JSON value.
        place: where it stands in what was posted.

    Raises:
        Unread: with each faulty field.
    """
    try:
        return model.model_validate(posted)
    except ValidationError as error:
        raise Unread(*(_unread(place, fault) for fault in faults(error))) from None


def _unread(place: str, fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in (place, *fault["loc"]) if part != "")
    return f"{where} {'is missing' if fault['type'] == 'missing' else 'is not valid'}"


def faults(error: ValidationError) -> list[dict[str, object]]:
    """The faulty fields, without their values."""
    found = error.errors(include_url=False, include_input=False)
    return [{"loc": list(fault["loc"]), "msg": sentence(fault), "type": fault["type"]} for fault in found]


def given(**fields: str | None) -> dict[str, str]:
    """The fields that have a value without control characters."""
    return {name: value for name, value in fields.items() if value and not _UNFIT.search(value)}


def https(url: str | None) -> str | None:
    """The address, if an email may link to it."""
    return url if url and _HTTPS.fullmatch(url) else None


def milliseconds(instant: datetime) -> int:
    """An instant as the ledger counts it, in milliseconds since 1970 UTC."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)
