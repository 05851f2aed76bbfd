"""The values of a form, as websites and form builders write them: what can be read is read."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

_NUMBER = re.compile(r"([+-]?\d+)(?:[.,](\d+))?\s*%?")
_YES = re.compile(r"(?:yes|ok|ja|oui|s[iíì]|i (?:agree|accept|consent)|agreed?|accept(?:ed)?|checked)\b")
_NO = re.compile(r"\b(?:no|not|never|but|unless|nein|nicht|kein\w*|non|pas)\b|n['\u2019]t\b")
_STATUSES = {"delivered": "sent", "error": "failed", "failure": "failed"}  # what else websites call it


def _text(value: Any) -> Any:
    """Text without the half characters that a script leaves when it cuts an emoji."""
    return value.encode(errors="ignore").decode() if isinstance(value, str) else value


def one_line(value: Any) -> Any:
    """Text in one line; any other value as it is."""
    return " ".join(_text(value).split()) if isinstance(value, str) else value


def cut(most: int) -> AfterValidator:
    """Cuts a text that has more characters than this."""
    return AfterValidator(lambda text: text if len(text) <= most else f"{text[: most - 1]}…")


def _number(value: Any) -> Any:
    """A whole number, also from text such as `70 %` or `70,5`; a half is rounded up."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value.strip())):
        value = float(f"{found[1]}.{found[2] or 0}")
    return math.floor(value + 0.5) if isinstance(value, float) and math.isfinite(value) else value


def _agreement(value: Any) -> Any:
    """A checkbox's text: one that begins with a yes, and takes nothing back, is a yes."""
    if not isinstance(value, str):
        return value
    said = value.strip().lower()
    return True if _YES.match(said) and not _NO.search(said) else said


def _status(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    said = value.strip().lower()
    return _STATUSES.get(said, said)


Score = Annotated[
    int,
    Field(ge=0, le=100),
    BeforeValidator(_number, json_schema_input_type=Annotated[float, Field(ge=0, le=100)] | str),
]
Systems = Annotated[
    int,
    Field(ge=0, le=8),
    BeforeValidator(_number, json_schema_input_type=Annotated[float, Field(ge=0, le=8)] | str),
]
Consent = Annotated[bool, BeforeValidator(_agreement, json_schema_input_type=bool | str)]
ConsentText = Annotated[str, BeforeValidator(_text), cut(2000)]
Status = Annotated[Literal["sent", "failed"], BeforeValidator(_status, json_schema_input_type=str)]
