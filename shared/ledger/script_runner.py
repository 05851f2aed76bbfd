"""How a Lua script is called: its order becomes JSON, and a newer ledger's refusal an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from shared.core.errors import LedgerTooNew
from shared.ledger import version
from shared.ledger.script_sources import sources


class ScriptRunner:
    """Runs the ledger's scripts.

    Args:
        redis: a client that decodes answers to text.
        constants: the values of `$NAME` in the scripts.
    """

    def __init__(self, redis: Redis, constants: Mapping[str, int]) -> None:
        self.scripts = {name: redis.register_script(source) for name, source in sources(constants).items()}

    def run(self, script: str, order: object, *texts: str, now: int | None = None) -> Any:
        """Run one script; its head describes its order and its answer.

        Args:
            script: the name of its file.
            order: passed as JSON: an order's dataclass, a dict or a number. None values are left out.
            texts: passed as they are, such as a request of a megabyte.
            now: the time in milliseconds since 1970 UTC, for tests; without it, Redis's clock counts.

        Raises:
            LedgerTooNew: if a newer release uses the ledger; then nothing was read or written.
        """
        try:
            return self.scripts[script](args=["" if now is None else now, as_json(order), *texts])
        except ResponseError as error:
            if str(error).startswith(version.TOO_NEW):
                raise LedgerTooNew(str(error).removeprefix(version.TOO_NEW), version.VERSION) from None
            raise


def as_json(order: object) -> str:
    """An order as its script reads it. None values are left out."""
    return json.dumps(_without_nones(order) if isinstance(order, dict) else order, default=filled)


def filled(order: object) -> dict[str, Any]:
    """The fields of an order that become JSON: those that are set."""
    return _without_nones(vars(order))


def _without_nones(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
