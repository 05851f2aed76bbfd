"""One request to the provider, for one email or several: what is posted, and the same as it is frozen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.ledger.claims import Claimed, Item


@dataclass(frozen=True)
class Post:
    """One request: its emails' items, its id (also the idempotency key), what is posted, the same as it is frozen, its
    turn at the provider (milliseconds since 1970 UTC by the ledger's clock), and for a batch, whether a wrong email
    stops none of the others (an earlier release posted no such batches, and they are repeated as they were)."""

    items: list[Item]
    request: str
    emails: dict[str, Any] | list[dict[str, Any]]
    body: str
    turn: int
    permissive: bool

    @classmethod
    def first(cls, written: list[tuple[Item, dict[str, Any]]], token: str, turn: int) -> Post:
        """A first request, for one email or several.

        Args:
            written: the items, each with its email in the provider's form; at least one.
            token: the worker's, which makes the id of a batch unique.
            turn: the request's turn.
        """
        items = [item for item, _ in written]
        alone = len(items) == 1
        emails = written[0][1] if alone else [email for _, email in written]
        return cls(items, items[0].request if alone else f"batch-{token}", emails, json.dumps(emails), turn, not alone)

    @classmethod
    def repeated(cls, claim: Claimed) -> Post:
        """The request that was posted before, as it was frozen then."""
        return cls(claim.items, claim.request, json.loads(claim.body), claim.body, claim.turn, claim.permissive)

    def without(self, gone: frozenset[str], token: str) -> Post:
        """A new request for the other emails; only for one that was never posted."""
        emails = self.emails if isinstance(self.emails, list) else [self.emails]
        return Post.first(
            [pair for pair in zip(self.items, emails, strict=True) if pair[0].id not in gone], token, self.turn
        )
