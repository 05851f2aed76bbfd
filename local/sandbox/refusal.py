"""The one error of the sandbox: a request that a provider refuses, with everything in its response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.core.errors import EvergreenError


class Refusal(EvergreenError):
    """A refused request.

    Args:
        status: the HTTP status.
        name: the provider's name for it, such as `validation_error`.
        message: what is wrong, for a developer to read.
        headers: further response headers.
        in_batch: what Resend's permissive batch returns instead of `message`, if different.
        additional: Notion's `additional_data`.
    """

    def __init__(
        self,
        status: int,
        name: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        in_batch: str = "",
        additional: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message
        self.headers = dict(headers or {})
        self.in_batch = in_batch or message
        self.additional = dict(additional or {})
