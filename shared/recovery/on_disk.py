"""Values by key in a temporary file instead of memory, for what has no bound, such as the rows of the email log."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from shared.core.errors import DiskError


class OnDisk:
    """Values that can be JSON, by key. No other process sees the file, and it ends with this one.

    Each method raises DiskError if the file cannot be written.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("")  # a file without a name
        self._run("PRAGMA journal_mode = OFF")
        self._run("CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")

    def get(self, key: str) -> Any:
        """A value; None if there is none."""
        row = self._run("SELECT value FROM kept WHERE key = ?", key).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: str, value: Any = True) -> None:
        """Keep a value; it replaces an earlier one."""
        self._run("REPLACE INTO kept VALUES (?, ?)", key, json.dumps(value))

    def __len__(self) -> int:
        return int(self._run("SELECT count(*) FROM kept").fetchone()[0])

    def _run(self, statement: str, *values: str) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise DiskError(
                f"a temporary file could not be written ({error}); free some space, or let TMPDIR name another folder"
            ) from None
