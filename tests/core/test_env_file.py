"""The owner's .env, as editors and shells save it: what can be read is read, and anything else is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.core import env_file
from shared.core.errors import SettingsError


def refusal(path: Path) -> str:
    """What is said about a file that cannot be taken."""
    with pytest.raises(SettingsError) as caught:
        env_file.read(path)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_editors_write_is_read(tmp_path: Path, end: str, encoding: str) -> None:
    """Line ends of any system, a byte order mark, quotes, comments and `export`."""
    lines = ["# mine", "", "export BUSINESS_NAME='Zoë & Söhne'", 'POSTAL_ADDRESS="1 Main Street" # home', "PORT = 9000"]
    (tmp_path / ".env").write_bytes(end.join([*lines, "RESEND_REPLY_TO="]).encode(encoding))
    assert env_file.read(tmp_path / ".env") == {
        "BUSINESS_NAME": "Zoë & Söhne",
        "POSTAL_ADDRESS": "1 Main Street",
        "PORT": "9000",
        "RESEND_REPLY_TO": "",
    }


@pytest.mark.parametrize(
    ("encoding", "line"),
    [("latin-1", 3), ("cp1252", 3), ("mac-roman", 3), ("utf-16", 1), ("utf-16-le", 3), ("utf-32", 1)],
)
def test_another_encoding_is_named_with_its_line(tmp_path: Path, encoding: str, line: int) -> None:
    """What is in the file is not repeated: it may be a secret."""
    path = tmp_path / ".env"
    path.write_bytes("PORT=9000\n# mine\nPOSTAL_ADDRESS=Zürich\nOPERATOR_TOKEN=8f3b\n".encode(encoding))
    assert refusal(path) == f"{path}, line {line}, is not UTF-8 text. Save the file again as UTF-8."


@pytest.mark.parametrize("wrong", ["OPERATOR_TOKEN", "OPERATOR_TOKEN: 8f3b", "OPERATOR_TOKEN='8f3b", 'X="a" b'])
def test_a_line_that_sets_nothing_is_named(tmp_path: Path, wrong: str) -> None:
    """By its number."""
    path = tmp_path / ".env"
    path.write_text(f"PORT=9000\n\n# mine\n\n{wrong}\nHOST=127.0.0.1\n")
    assert refusal(path).startswith(f"{path}, line 5, is not of the form NAME=value.")
    assert "8f3b" not in refusal(path)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """As Docker makes one for a file that it should mount and that is not there."""
    assert refusal(tmp_path) == f"{tmp_path} is a folder. Move it away: it must be a text file, or not exist."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_must_not_be_read(tmp_path: Path) -> None:
    """Of another user."""
    (tmp_path / ".env").touch(mode=0o000)
    assert refusal(tmp_path / ".env").endswith("cannot be read: Permission denied. Correct its permissions.")


def test_no_file_sets_nothing(tmp_path: Path) -> None:
    """Neither one that is not there, nor /dev/null."""
    assert env_file.read(tmp_path / ".env") == env_file.read(Path(os.devnull)) == {}
