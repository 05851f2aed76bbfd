"""Looks into Resend's list for what is in doubt, in a thread beside the release loop, in one replica at a time."""

from __future__ import annotations

import threading
from functools import cache

from scheduler.notion_poll import NotionPoll
from shared import services
from shared.core.settings import Settings
from shared.ledger.client import Ledger
from shared.ledger.pacing import Pacer
from shared.recovery.doubts import Doubts
from shared.recovery.verify_resend import ResendWitness

EVERY = 60.0  # seconds from poll to poll; most find nothing in doubt
LOCK, LOCK_FOR = "eg:doubts:holder", 180
LEAST_RATE = 2.0  # requests a second that Resend has always allowed


def doubts(settings: Settings, ledger: Ledger) -> Doubts:
    """What compares, for these settings; templates and the provider are loaded when something is in doubt for the first time."""

    @cache
    def witness() -> ResendWitness:
        from shared.emails.subjects import Subjects
        from shared.emails.template_store import Store
        from shared.integrations.resend import Resend

        catalog = services.catalog()
        subjects = Subjects(catalog, Store(catalog, settings, ledger), settings)
        resend = Resend(settings.resend_api_key, settings.resend_api_url, timeout=settings.provider_timeout, pool=1)
        return ResendWitness(ledger, subjects, resend, Pacer(ledger, "resend", settings.resend_rate or LEAST_RATE).wait)

    return Doubts(ledger, witness)


def start(stop: threading.Event) -> list[threading.Thread]:
    """Look until `stop` is set; without Resend's key there is nobody to ask."""
    settings, ledger = services.current_settings(), services.ledger()
    if not settings.resend_api_key:
        return []
    part = NotionPoll(ledger, [doubts(settings, ledger).poll], EVERY, LOCK, LOCK_FOR)
    thread = threading.Thread(target=part.run, args=(stop,), daemon=True)
    thread.start()
    return [thread]
