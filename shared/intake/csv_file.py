"""Reading a CSV file: its encoding, its header, and its lines one at a time, as often as needed.

Spreadsheets differ: a BOM or none, UTF-16, Windows-1252, four delimiters, `sep=`, comments above the header, CR, LF or
CRLF, and line breaks within quotes are all fine.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core.errors import EvergreenError
from shared.intake import csv_columns, csv_status
from shared.intake.csv_columns import Fault

DELIMITERS = (",", ";", "\t", "|")
ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
HEADER_WITHIN = 65_536  # characters
_SEP = re.compile(r'"?sep=(.)"?[\r\n]*')


class FileError(EvergreenError):
    """A file cannot be imported at all; the message says how to fix it."""


@dataclass(frozen=True)
class CsvFile:
    """A file whose header is known.

    Attributes:
        encoding: a key of ENCODINGS; it is assumed if it is `cp1252`.
        above: how many lines precede the header.
        columns: for each cell of a line, the column that it fills; empty if it is ignored.
        ignored: the names of the columns that are.
    """

    path: Path
    encoding: str
    delimiter: str
    above: int
    columns: tuple[str, ...]
    ignored: tuple[str, ...]

    def lines(self) -> Iterator[tuple[int, dict[str, str]] | Fault]:
        """Each line that is not empty: where it begins, from 1, and its cells by column, empty ones too; or what is
        wrong with it.

        Raises:
            FileError: if the file cannot be read to its end.
        """
        line = self.above
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                for _ in range(self.above):
                    file.readline()
                reader = _reader(file, self.delimiter)
                next(reader)
                line += reader.line_num + 1
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield self._read(line, cells)
                    line = self.above + reader.line_num + 1
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(self.path, error) from None
        except csv.Error as error:
            raise FileError(f"{self.path.name} is not a CSV file near line {line}: {error}") from None

    def _read(self, line: int, cells: list[str]) -> tuple[int, dict[str, str]] | Fault:
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            return Fault(line, "", f"{len(cells)} cells, but the header names {len(self.columns)} columns")
        if any("\0" in cell for cell in cells):
            return Fault(line, "", "contains a NUL character; remove it")
        found = dict.fromkeys(self.columns, "") | dict(zip(self.columns, map(str.strip, cells), strict=False))
        return line, {column: text for column, text in found.items() if column}


def open_file(path: Path) -> CsvFile:
    """Find a file's encoding, delimiter and header.

    Raises:
        FileError: if it has no column `email`, or cannot be read.
    """
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding, newline="") as file:
            head = file.read(HEADER_WITHIN)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    if not head.strip():
        raise FileError(f"{path.name} is empty")
    delimiters: Sequence[str] = DELIMITERS
    lines = list(io.StringIO(head, newline=""))
    for above, line in enumerate(lines):
        if sep := _SEP.fullmatch(line):
            delimiters = (sep[1],)
            continue
        delimiter, names = _header(lines[above:], delimiters)
        columns = _columns(names)
        if "email" in columns:
            _refuse_doubles(columns, path.name)
            ignored = tuple(name or "(no name)" for name, column in zip(names, columns, strict=True) if not column)
            return CsvFile(path, encoding, delimiter, above, columns, ignored)
        if line.strip(" \t\r\n,;|") and not line.lstrip('" ').startswith("#"):
            break
    if "\0" in head:
        raise FileError(f"{path.name} contains NUL characters; save it as 'CSV UTF-8'")
    raise FileError(f"{path.name} has no column `email`; its header must name the columns, such as email,name,consent")


def _encoding(path: Path) -> str:
    """The encoding that a BOM names, or UTF-8 if the file is that, or the one that Excel on Windows uses."""
    with path.open("rb") as file:
        start = file.read(3)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        if start != codecs.BOM_UTF8:
            file.seek(0)
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                while part := file.read(1 << 20):
                    decoder.decode(part)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "cp1252"
    return "utf-8-sig"


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> FileError:
    if isinstance(error, OSError):
        return FileError(f"{path.name} cannot be read ({error.strerror})")
    return FileError(f"{path.name} has characters that cannot be read; save it as 'CSV UTF-8'")


def _reader(lines: Any, delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _header(lines: list[str], delimiters: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter with which the header names the most columns, and their names."""
    found = {delimiter: _names(lines, delimiter) for delimiter in delimiters}
    best = max(found, key=lambda delimiter: (sum(map(bool, _columns(found[delimiter]))), len(found[delimiter])))
    return best, found[best]


def _names(lines: list[str], delimiter: str) -> list[str]:
    try:
        names = [csv_columns.normalized(cell) for cell in next(_reader(lines, delimiter), [])]
    except csv.Error:
        return []
    while names and not names[-1]:
        names.pop()
    return names


def _columns(names: list[str]) -> tuple[str, ...]:
    """The column that each name stands for. A column of that very name goes before others that would fill it."""
    columns, filled = [], set(names)
    for name in names:
        column = csv_columns.ALIASES.get(name, "")
        if name in csv_columns.COLUMNS or name in csv_status.COLUMNS:
            column = name
        elif column in filled:
            column = ""
        filled.add(column)
        columns.append(column)
    return tuple(columns)


def _refuse_doubles(columns: tuple[str, ...], file: str) -> None:
    if double := next((column for column in columns if column and columns.count(column) > 1), None):
        raise FileError(f"{file} has two columns `{double}`; rename or remove one")
