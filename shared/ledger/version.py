"""The ledger's version: which ledgers this release can read. docs/ledger.md explains how newer and older releases are
kept apart."""

from __future__ import annotations

from shared.core.errors import LedgerTooNew

VERSION = 1  # the newest ledger that this release reads, and the one it creates; CONTRIBUTING says when to raise it
TOO_NEW = "EGVERSION "  # how base.lua's refusal begins


def too_new(version: str | None) -> bool:
    """Whether this program must leave a ledger alone; base.lua makes the same check before each script.

    Args:
        version: its mark, or None.
    """
    return version is not None and (not version.isdecimal() or not 1 <= int(version) <= VERSION)


def refuse_too_new(version: str | None) -> None:
    """Raise LedgerTooNew if this program must leave a ledger alone.

    Args:
        version: its mark, or None.
    """
    if version is not None and too_new(version):
        raise LedgerTooNew(version, VERSION)
