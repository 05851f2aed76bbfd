"""How a process starts: if it cannot, it logs why in one line and exits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core import log
from shared.core.errors import CampaignError, SettingsError

_logger = log.logger("startup")


@contextmanager
def or_exit() -> Iterator[None]:
    """Exit with status 1 if a setting or a campaign is wrong; the log says what, in one line."""
    try:
        yield
    except (SettingsError, CampaignError) as error:
        log.configure()
        _logger.error(str(error))
        sys.exit(1)
