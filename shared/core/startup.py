"""How a process begins: where it cannot, it says so in one line of its log, and ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core import log
from shared.core.errors import CampaignError, SettingsError

_logger = log.logger("startup")


@contextmanager
def or_exit() -> Iterator[None]:
    """End the process with status 1 where a setting or a campaign is wrong; the log says what, in one line."""
    try:
        yield
    except (SettingsError, CampaignError) as error:
        log.configure()
        _logger.error(str(error))
        sys.exit(1)
