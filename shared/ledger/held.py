"""Sign-ups that are held until the owner of the mailbox confirms them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from shared.ledger.client import Ledger
from shared.ledger.ids import HELD


@dataclass(frozen=True)
class Held:
    """What a contact has held.

    Attributes:
        since: when the contact was asked for a confirmation, in milliseconds since 1970 UTC; 0 if it was not.
        records: the sign-ups by their ids, as they were stored.
    """

    since: int
    records: Mapping[str, str]


def of_contact(ledger: Ledger, contact: str) -> Held:
    """What a contact (its digest) has held."""
    asking = cast(dict[str, str], ledger.redis.hgetall(f"eg:asking:{contact}"))
    ids = [f"{contact}-{trigger}" for trigger in asking.get("triggers", "").split(",") if trigger]
    texts = cast(list[str | None], ledger.redis.mget([f"{HELD}:{id}" for id in ids])) if ids else []
    records = {id: text.partition(" ")[2] for id, text in zip(ids, texts, strict=True) if text}
    return Held(int(asking.get("since", 0)), records)
