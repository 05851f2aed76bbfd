"""Bodies in JSON, read as RFC 8259 defines it: in UTF-8, and without the NaN and Infinity that Python allows."""

from __future__ import annotations

import json
from typing import Any


def read(body: bytes) -> dict[str, Any]:
    """A body as a JSON object; raises ValueError, in words for the caller, if it is not one."""
    try:
        posted = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("the body is not JSON in UTF-8") from None
    except (ValueError, RecursionError):
        posted = None
    if not isinstance(posted, dict):
        raise ValueError("the body is not a JSON object")
    return posted


def _refuse(constant: str) -> None:
    raise ValueError(constant)
