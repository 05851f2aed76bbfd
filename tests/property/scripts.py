"""The ledger's scripts as the property test runs them: with limits that a few people reach, and perhaps a planted
bug."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.ledger import script_runner, script_sources
from tests.property.door_invariants import MOST_HELD

SMALLER = {
    "MOST_HELD = 20000": f"MOST_HELD = {MOST_HELD}",
    "LAST, MOST_BOUNCED = 100, 3": "LAST, MOST_BOUNCED = 100, 0",
    "key = 'confirmations', most = 100": "key = 'confirmations', most = 5",
}


def change(monkeypatch: pytest.MonkeyPatch, planted: Mapping[str, str] | None = None) -> None:
    """Have every ledger that is made from here on run the changed scripts.

    Args:
        monkeypatch: undoes it.
        planted: what stands in the scripts, and what to write instead.
    """
    known: dict[str, dict[str, str]] = {}

    def sources(constants: Mapping[str, int]) -> dict[str, str]:
        key = repr(constants)
        if key not in known:
            known[key] = _changed(script_sources.sources(constants), SMALLER | dict(planted or {}))
        return known[key]

    monkeypatch.setattr(script_runner, "sources", sources)


def _changed(texts: dict[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), f"no script has {old}"
        texts = {name: text.replace(old, new) for name, text in texts.items()}
    return texts


def short_email(asking: Any, address: str, *_: object) -> dict[str, Any]:
    """An email that asks for a confirmation, without its text: rendering one takes as long as a whole story."""
    number = {"name": "confirmation", "value": str(asking.number)}
    return {"to": [address], "subject": str(asking.since), "tags": [number]}
