"""The owner's `.env`: settings, and a few names that only the local stack and the command line use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from shared.core import faults
from shared.core.errors import SettingsError
from shared.core.settings import Settings

OTHERS = ("ENV_FILE", "LOCAL_DIR", "SANDBOX_PORT", "SEND_WORKERS", "VALKEY_PORT")


def read(path: Path) -> dict[str, str]:
    """The values that a file sets; none if the file does not exist.

    Args:
        path: such as `.env`.

    Raises:
        SettingsError: if the file cannot be read, is not UTF-8, has a line that sets nothing, or has a name that looks
            like a misspelled setting.
    """
    text = _text(path)
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            blank = line.original.string[: -len(line.original.string.lstrip())]
            number = line.original.line + len(blank.splitlines())
            raise SettingsError(
                f"{path}, line {number}, is not of the form NAME=value. Correct it: quotes come in pairs, and comments "
                "begin with #."
            )
    given = {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
    _refuse_misspelt(path, given)
    return given


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise SettingsError(f"{path} is a folder. Move it away: it must be a text file, or not exist.")
        content = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Correct its permissions.") from None
    try:
        text = content.decode("utf-8-sig")
        wrong = text.find("\0")  # most of what is UTF-16 is UTF-8, too
    except UnicodeDecodeError as error:
        text, wrong = content[: error.start].decode("utf-8"), error.start
    if wrong >= 0:
        line = text[:wrong].count("\n") + 1
        raise SettingsError(f"{path}, line {line}, is not UTF-8 text. Save the file again as UTF-8.")
    return text


def _refuse_misspelt(path: Path, given: Mapping[str, str]) -> None:
    known = [name.upper() for name in Settings.model_fields]
    for name in given:
        own = name.removesuffix("_FILE")
        if own not in known and own not in OTHERS and (hint := faults.meant(own, known)):
            raise SettingsError(f"{path}: {name} is not a setting{hint}")


def add(found: Mapping[str, str]) -> None:
    """Add a file's values to this process's environment, without overriding any."""
    for name, value in found.items():
        os.environ.setdefault(name, value)
