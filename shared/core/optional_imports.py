"""Keeping out what a service has no use for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let imports in this block go on as if a module were not installed that they would like, but do not need.

    structlog and httpx load rich where they find it, for colors on a terminal, and resend loads httpx for a client that
    is not used
    here: 6 MB each, in every process.

    Args:
        module: its name.
    """
    found = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # an import that meets None raises ImportError
    try:
        yield
    finally:
        del sys.modules[module]
        if found:
            sys.modules[module] = found
