"""The fence as Redis holds it: whether it is on, which start of Redis Notion has confirmed, and why this copy may not
send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from shared.ledger import ids
from shared.ledger.client import Ledger

UNCONFIRMED = "waiting for a first answer from Notion"


class FenceState:
    """A hash of strings: `on`; `server`, the start of Redis that may send; `confirmed` and `pending`, our words in
    Notion; `why`, if it may not send; `alone`, if it began without Notion; and the instants `at` (of the last
    confirmation), `beat` (when this copy was last at work), `taken_over` and `steady` (after which no other copy can
    still be sending, so batches may go), in milliseconds since 1970.

    Args:
        ledger: the copy that is fenced.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis = ledger.redis

    def read(self) -> dict[str, str]:
        """All fields that are set."""
        return cast(dict[str, str], self._redis.hgetall(ids.FENCE))  # the client decodes, which its types cannot say

    def keep(self, *without: str, **fields: str) -> None:
        """Set some fields and remove others, both or neither; also on a full ledger."""
        self._ledger.write_fence(fields, without)

    def drop(self, *names: str) -> None:
        """Remove some fields."""
        self._ledger.write_fence({}, names)

    def server(self) -> str:
        """The id of this start of Redis; each restart has a new one."""
        return str(cast(dict[str, str], self._redis.info("server"))["run_id"])

    def refusal(self) -> str | None:
        """Why this copy may not send, or None."""
        return why_fenced(self.read(), self.server())


def why_fenced(state: Mapping[str, str], server: str) -> str | None:
    """Why a copy may not send, or None; gate.lua decides by the same fields.

    Args:
        state: the fence's fields.
        server: the id of this start of Redis.
    """
    if "on" not in state or state.get("server") == server:
        return None
    return state.get("why", UNCONFIRMED)
