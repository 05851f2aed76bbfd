"""JSON logs: one object per line on stderr, with the request id of the webhook that started the work."""

from __future__ import annotations

import logging
import re
import sys
import uuid
from contextlib import suppress
from typing import Any, TextIO, cast

from shared.core.optional_imports import without

with without("rich"):
    import structlog

_ADDRESS = re.compile(r"[^\s'\"<>()]+@[^\s'\"<>()]+")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def _without_addresses(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Remove addresses from exceptions, which may quote a person's."""
    if "exception" in event:
        event["exception"] = _ADDRESS.sub("(address)", event["exception"])
    return event


class _Lossy:
    """A stream that loses a line which cannot be written, as on a full disk: the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure(level: str = "INFO") -> None:
    """Send every log of this process, ours and the libraries', to stderr as JSON.

    Args:
        level: the lowest level to show. Libraries show only warnings and errors unless it is DEBUG.
    """
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared_steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_addresses,
    ]
    structlog.configure(
        processors=[*shared_steps, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_steps, processor=structlog.processors.JSONRenderer()
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if number <= logging.DEBUG else logging.WARNING)


def request_id(offered: str | None = None) -> str:
    """The request id to use: the caller's if it is harmless, else a new one.

    Args:
        offered: the `X-Request-Id` header, if any.
    """
    return offered if offered and _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def begin(**known: str) -> None:
    """Add these values to each line until the next request begins here.

    Args:
        known: the request's id, the function's name, and the network that it came from.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**known)


def known(name: str) -> str:
    """A value that `begin` was given."""
    return str(structlog.contextvars.get_contextvars()[name])


def logger(name: str) -> Any:
    """A structured logger that names a part of Evergreen in each line.

    Args:
        name: the part, such as `sending`.
    """
    return structlog.get_logger(part=name)  # not .bind(), which would fix the configuration before `configure` has run
