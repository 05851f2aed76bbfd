"""Values that are kept on disk."""

from __future__ import annotations

import sqlite3

import pytest

from shared.core.errors import DiskError
from shared.recovery.on_disk import OnDisk


def test_values_come_back_as_they_were() -> None:
    """A later one replaces an earlier one, and each instance has its own."""
    kept, other = OnDisk(), OnDisk()
    assert not kept
    kept.put("é", {"at": 5, "why": None})
    kept.put("a")
    kept.put("a", [1])
    assert (kept.get("é"), kept.get("a"), kept.get("b"), len(kept)) == ({"at": 5, "why": None}, [1], None, 2)
    assert (other.get("a"), len(other)) == (None, 0)


def test_a_full_disk_is_named_with_a_way_out() -> None:
    """Not as an error of a library."""
    kept = OnDisk()
    kept._db.execute("PRAGMA max_page_count = 4")
    with pytest.raises(DiskError, match=r"full.*TMPDIR") as caught:
        for number in range(1000):
            kept.put(str(number), "x" * 100)
    assert not isinstance(caught.value, sqlite3.Error)
