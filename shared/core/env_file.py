"""The owner's `.env`: settings, and a few names that only the local stack and the command line use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from shared.core import faults
from shared.core.errors import SettingsError
from shared.core.settings import Settings

OTHERS = ("ENV_FILE", "LOCAL_DIR", "SANDBOX_PORT", "SEND_WORKERS", "VALKEY_PORT")


def read(path: Path) -> dict[str, str]:
    """The values that a file sets; none if the file does not exist.

    Args:
        path: such as `.env`.

    Raises:
        SettingsError: if the file cannot be read, is not UTF-8, or has a name that looks like a misspelled setting.
    """
    try:
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}). Save it again as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Correct its permissions.") from None
    given = {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
    _refuse_misspelt(path, given)
    return given


def _refuse_misspelt(path: Path, given: Mapping[str, str]) -> None:
    known = [name.upper() for name in Settings.model_fields]
    for name in given:
        own = name.removesuffix("_FILE")
        if own not in known and own not in OTHERS and (hint := faults.meant(own, known)):
            raise SettingsError(f"{path}: {name} is not a setting{hint}")


def add(path: Path) -> None:
    """Add a file's values to this process's environment, without overriding any; raises as `read`."""
    for name, value in read(path).items():
        os.environ.setdefault(name, value)
