"""Reading a CSV file of people.

The whole file is read before anything is done, so that every fault is known first. Spreadsheets differ: a BOM,
semicolons or tabs, CRLF and line breaks within quotes are all fine.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.core.errors import EvergreenError
from shared.intake import csv_rows
from shared.intake.csv_rows import PERSONAL, Fault, Row

COLUMNS = (*PERSONAL, "campaign", "start")
DELIMITERS = ",;\t"
_OTHER_NAMES = {
    "e_mail": "email",
    "email_address": "email",
    "full_name": "name",
    "company": "business_name",
    "time_zone": "timezone",
}


class FileError(EvergreenError):
    """A file cannot be imported at all; the message says how to fix it."""


@dataclass
class Sheet:
    """The content of a file: each address once, and the lines that cannot be used.

    Attributes:
        columns: those that were recognized.
        unknown: those that were not, and are ignored.
        doubles: how many lines were merged into an earlier one of the same address.
    """

    columns: tuple[str, ...]
    unknown: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    doubles: int = 0


def read(path: Path, *, campaign: str | None, now: int) -> Sheet:
    """Read a file and check each of its lines.

    Args:
        path: the file.
        campaign: the slug that the column `campaign` must hold, unless it is empty.
        now: milliseconds since 1970 UTC.

    Raises:
        FileError: if the file is not CSV in UTF-8, or has no column `email`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), strict=True)
            header = _header(next(reader, []), path.name)
            sheet = Sheet(
                tuple(name for name in header if name in COLUMNS), tuple(name for name in header if name not in COLUMNS)
            )
            _fill(sheet, header, _lines(reader), campaign, now)
            return sheet
    except OSError as error:
        raise FileError(f"{path.name} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FileError(f"{path.name} is not in UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise FileError(f"{path.name} is not a CSV file near line {reader.line_num}: {error}") from None


def _header(cells: list[str], file: str) -> list[str]:
    """The names of the columns."""
    header = [_OTHER_NAMES.get(name, name) for name in map(_column, cells)]
    if "email" not in header:
        raise FileError(
            f"{file} has no column `email`; its first line must name the columns, such as email,name,consent"
        )
    if double := next((name for name in header if name in COLUMNS and header.count(name) > 1), None):
        raise FileError(f"{file} has two columns `{double}`; rename or remove one")
    return header


def _column(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", " ").split())


def _lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, each with the number where it begins."""
    begins = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield begins, cells
        begins = reader.line_num + 1


def _fill(
    sheet: Sheet, header: list[str], lines: Iterator[tuple[int, list[str]]], campaign: str | None, now: int
) -> None:
    places: dict[str, int] = {}
    for line, cells in lines:
        if len(cells) > len(header):
            sheet.faults.append(Fault(line, "", f"{len(cells)} cells, but the first line names {len(header)} columns"))
            continue
        given = {
            name: cell.strip() for name, cell in zip(header, cells, strict=False) if name in COLUMNS and cell.strip()
        }
        row, faults = csv_rows.checked(line, given, campaign, now)
        sheet.faults += faults
        if row is None:
            continue
        if (place := places.setdefault(row.form.email, len(sheet.rows))) < len(sheet.rows):
            sheet.rows[place] = csv_rows.merged(sheet.rows[place], row)
            sheet.doubles += 1
        else:
            sheet.rows.append(row)
