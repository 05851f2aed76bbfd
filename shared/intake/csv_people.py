"""The people of a CSV file, each once, read line by line.

The whole file is read before anything is done, so that every fault and every unsubscribe is known first. In memory is
a digest of each address, so a long file needs little of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from shared.intake import csv_file, csv_rows, csv_status
from shared.intake.csv_columns import Fault
from shared.intake.csv_file import CsvFile
from shared.intake.csv_rows import Row, Scope
from shared.ledger import ids


class People:
    """Iterating reads the file again, and yields each person when their last line is read.

    Attributes:
        file: where they stand.
        faults: the lines that cannot be used.
        reasons: by contact, why they get no email.
        count: how many people there are.
        doubles: how many lines were merged into an earlier one of the same address.
    """

    def __init__(self, file: CsvFile, scope: Scope) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.reasons: dict[str, frozenset[str]] = {}
        self._scope = scope
        lines: Counter[str] = Counter()
        for contact, row in self._rows(self.faults):
            lines[contact] += 1
            if row.reasons:
                self.reasons[contact] = self.reasons.get(contact, frozenset()) | row.reasons
        self.count = len(lines)
        self.doubles = lines.total() - self.count
        self._repeated = {contact: times for contact, times in lines.items() if times > 1}

    def __iter__(self) -> Iterator[Row]:
        left, begun = dict(self._repeated), dict[str, Row]()
        for contact, row in self._rows([]):
            begun[contact] = csv_rows.merged(begun[contact], row) if contact in begun else row
            left[contact] = left.get(contact, 1) - 1
            if not left[contact]:
                del left[contact]
                yield begun.pop(contact)

    def _rows(self, faults: list[Fault]) -> Iterator[tuple[str, Row]]:
        for line in self.file.lines():
            row, wrong = (None, [line]) if isinstance(line, Fault) else csv_rows.checked(*line, self._scope)
            faults += wrong
            if row:
                yield ids.digest(row.form.email), row


def read(path: Path, *, campaign: str | None, now: int, zone: str) -> People:
    """Read a file and check each of its lines.

    Args:
        path: the file.
        campaign: the slug that the column `campaign` must hold, unless it is empty.
        now: milliseconds since 1970 UTC.
        zone: the time zone of dates that name none.

    Raises:
        FileError: if it is not a CSV file, or has no column `email`.
    """
    return People(csv_file.open_file(path), Scope(campaign, now, zone, csv_status.of_file(path.name)))
