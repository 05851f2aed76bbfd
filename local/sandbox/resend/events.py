"""Posts Resend's webhook events, and retries them as Svix does."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
import uuid
from collections.abc import Sequence

import requests

from local.sandbox.emails import DELIVERY_SECONDS, Email
from local.sandbox.resend import payloads
from shared.core import log

RETRY_SECONDS = (1.0, 5.0, 30.0, 300.0)
TIMEOUT_SECONDS = 15
_THREADS = 2


class Events:
    """Posts events in the background. Does nothing without a URL and a secret.

    Args:
        url: where to post.
        secret: the `whsec_…` secret to sign with.
        retry_seconds: the wait before each further try.

    Raises:
        SettingsError: if the secret is not valid.
    """

    def __init__(self, url: str, secret: str, retry_seconds: Sequence[float] = RETRY_SECONDS) -> None:
        self._url = url if secret else ""
        if self._url:
            payloads.check_secret(secret)
        self._secret = secret
        self._retry_seconds = retry_seconds
        self._waiting: list[tuple[float, int, int, str, str]] = []  # due, tie-breaker, tries so far, message id, body
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_THREADS if self._url else 0)]
        for thread in self._threads:
            thread.start()

    def announce(self, emails: Sequence[Email]) -> None:
        """Schedule the events of newly accepted emails.

        Args:
            emails: the emails.
        """
        if not self._url:
            return
        for email in emails:
            for step, event_type in enumerate(email.events):
                delay = step * DELIVERY_SECONDS
                body = json.dumps(payloads.event(email, event_type, email.received_at + delay))
                self._plan(delay, 0, f"msg_{uuid.uuid4().hex}", body)

    def forget(self) -> None:
        """Drop the scheduled events."""
        with self._changed:
            self._waiting.clear()

    def close(self) -> None:
        """Stop posting. Scheduled events are lost."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1)

    def _plan(self, delay: float, tries: int, message_id: str, body: str) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (time.monotonic() + delay, next(self._order), tries, message_id, body))
            self._changed.notify()

    def _next(self) -> tuple[int, str, str] | None:
        """Wait for the next due event; None when stopped."""
        with self._changed:
            while not self._stopped:
                left = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if left is not None and left <= 0:
                    _, _, tries, message_id, body = heapq.heappop(self._waiting)
                    self._changed.notify()  # another thread waits for the next event while this one posts
                    return tries, message_id, body
                self._changed.wait(left)
        return None

    def _run(self) -> None:
        session = requests.Session()
        session.trust_env = False  # a proxy in the environment is for outside requests
        while event := self._next():
            self._post(session, *event)

    def _post(self, session: requests.Session, tries: int, message_id: str, body: str) -> None:
        headers = {"content-type": "application/json"} | payloads.sign(self._secret, message_id, int(time.time()), body)
        try:
            answer = session.post(
                self._url, body.encode(), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
            problem = "" if 200 <= answer.status_code < 300 else f"status {answer.status_code}"
        except requests.RequestException as error:
            problem = type(error).__name__
        if not problem:
            return
        if tries < len(self._retry_seconds):
            self._plan(self._retry_seconds[tries], tries + 1, message_id, body)
        else:
            log.logger("sandbox").warning("webhook given up", message_id=message_id, problem=problem)
