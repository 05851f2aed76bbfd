"""Checks Resend's list for emails in doubt, in a thread beside the release loop, in one replica at a time."""

from __future__ import annotations

import threading
from functools import cache

from scheduler.notion_poll import NotionPoll
from shared import services
from shared.recovery.doubts import Doubts
from shared.recovery.verify_resend import ResendWitness

EVERY = 60.0  # seconds from poll to poll; most polls find nothing in doubt
LOCK, LOCK_FOR = "eg:doubts:holder", 180


@cache
def _witness() -> ResendWitness:
    """Templates and the provider are loaded at the first doubt."""
    from shared.emails.subjects import Subjects
    from shared.emails.template_store import Store

    catalog, settings, ledger = services.catalog(), services.current_settings(), services.ledger()
    subjects = Subjects(catalog, Store(catalog, settings, ledger), settings)
    return ResendWitness(ledger, subjects, services.resend(), services.resend_pacer().wait)


def start(stop: threading.Event) -> list[threading.Thread]:
    """Check until `stop` is set; without Resend's key there is nothing to check."""
    if not services.current_settings().resend_api_key:
        return []
    ledger = services.ledger()
    part = NotionPoll(ledger, [Doubts(ledger, _witness).poll], EVERY, LOCK, LOCK_FOR)
    thread = threading.Thread(target=part.run, args=(stop,), daemon=True)
    thread.start()
    return [thread]
