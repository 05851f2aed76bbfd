"""Reads what other systems post: required fields strictly, all others only if they fit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from shared.core.errors import WebhookError
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


def _not_json(constant: str) -> None:
    """Python reads NaN, Infinity and -Infinity, which are not JSON."""
    raise ValueError(constant)


def json_object(body: bytes) -> dict[str, Any]:
    """A body as a JSON object (RFC 8259: in UTF-8, without NaN); raises WebhookError 400 if it is not one."""
    try:
        posted = json.loads(body.decode("utf-8-sig"), parse_constant=_not_json)
    except UnicodeDecodeError:
        raise WebhookError(400, "the body is not JSON in UTF-8") from None
    except (ValueError, RecursionError):
        posted = None
    if not isinstance(posted, dict):
        raise WebhookError(400, "the body is not a JSON object")
    return posted


def read(model: type[Model], posted: dict[str, Any], refusal: str) -> Model:
    """What was posted, as a model.

    Args:
        model: the model.
        posted: the JSON object.
        refusal: the error message if it does not fit.

    Raises:
        WebhookError: 422 with the faulty fields.
    """
    try:
        return model.model_validate(posted)
    except ValidationError as error:
        raise WebhookError(422, refusal, details=faults(error)) from None


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
