"""Idempotency keys as in Resend: kept for 24 hours, by endpoint
(https://resend.com/docs/dashboard/emails/idempotency-keys)."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from local.sandbox.refusal import Refusal
from local.sandbox.store import Answer, Store

TTL_SECONDS = 24 * 3600


def fingerprint(payload: Any) -> str:
    """A digest that is equal for requests with the same JSON content.

    Args:
        payload: the decoded body.
    """
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


class Keys:
    """The keys in progress, and the responses of finished ones.

    Args:
        store: keeps the responses of finished requests.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_progress: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def begin(self, endpoint: str, key: str) -> None:
        """Mark a key as in progress, until `end`.

        Args:
            endpoint: the path of the request.
            key: the header's value.

        Raises:
            Refusal: if the key has an invalid length, or another request with it is unfinished.
        """
        if not 1 <= len(key) <= 256:
            raise Refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        with self._lock:
            if (endpoint, key) in self._in_progress:
                raise Refusal(
                    409,
                    "concurrent_idempotent_requests",
                    "Another request with the same idempotency key is still in progress.",
                )
            self._in_progress.add((endpoint, key))

    def end(self, endpoint: str, key: str) -> None:
        """Mark a key as no longer in progress."""
        with self._lock:
            self._in_progress.discard((endpoint, key))

    def answered(self, endpoint: str, key: str, payload: Any) -> str | None:
        """The JSON response to an earlier request with this key, if any.

        Args:
            endpoint: the path of the request.
            key: the header's value.
            payload: the decoded body.

        Raises:
            Refusal: if the earlier request had another payload.
        """
        earlier: Answer | None = self._store.answer(endpoint, key, TTL_SECONDS)
        if earlier and earlier.fingerprint != fingerprint(payload):
            raise Refusal(
                409,
                "invalid_idempotent_request",
                "This idempotency key was used with another body within the last 24 hours.",
            )
        return earlier.answer if earlier else None
