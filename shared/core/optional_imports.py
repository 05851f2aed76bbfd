"""Keeps out libraries that a service does not need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Run the imports in this block as if a module that they use but do not need were not installed.

    structlog and httpx load rich if it is installed, for colors on a terminal, and resend loads httpx for a client that
    is not used here. Each costs 6 MB in every process.

    Args:
        module: its name.
    """
    found = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # an import that finds None raises ImportError
    try:
        yield
    finally:
        del sys.modules[module]
        if found:
            sys.modules[module] = found
