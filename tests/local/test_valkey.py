"""Valkey's log after a power cut, with a real Valkey."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from local import valkey
from local.trial import environ_for, running
from tests.local.test_stack import refused

TORN = b"*3\r\n$3\r\nSET\r\n$4\r\nlast\r\n$9\r\nab"
DAMAGED = "Valkey's data is damaged; the end of "


def log_of(directory: Path) -> Path:
    """The file to which Valkey appends."""
    return max((directory / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a Valkey that has rewritten it once, with values that hold zeros and end with them."""
    with valkey.serve(tmp_path) as server, Redis(port=server.port) as client:
        client.set("before", b"\0" * 100)
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"]:
            pass
        client.set("zeros", b"\0" * 5000)
    return log_of(tmp_path)


@pytest.mark.parametrize("written", [b"", TORN, b"*", TORN + b"\0\0"])
@pytest.mark.parametrize("zeros", [1, 4096, 100_001])
def test_zeros_at_the_end_are_cut_and_nothing_else(log: Path, tmp_path: Path, written: bytes, zeros: int) -> None:
    """Also behind a write that is incomplete; Valkey starts with all that it had confirmed."""
    whole = log.read_bytes() + written
    log.write_bytes(whole + b"\0" * zeros)
    said = valkey.cut_zeros(tmp_path)
    assert log.read_bytes() == whole.rstrip(b"\0")
    assert said.startswith(f"Cut {zeros + len(whole) - len(whole.rstrip(bytes(1)))} zero bytes") and str(log) in said
    with valkey.serve(tmp_path) as server, Redis(port=server.port) as client:
        assert (client.get("before"), client.get("zeros"), client.dbsize()) == (b"\0" * 100, b"\0" * 5000, 2)


@pytest.mark.parametrize("end", [b"", TORN, b"\0\0x", b"garbage"])
def test_damage_elsewhere_is_not_touched(log: Path, tmp_path: Path, end: bytes) -> None:
    """A whole log, a torn one, and one with anything but zeros at its end."""
    before = log.read_bytes() + end
    log.write_bytes(before)
    assert valkey.cut_zeros(tmp_path) == ""
    assert log.read_bytes() == before


def test_without_a_log_there_is_nothing_to_do(tmp_path: Path) -> None:
    """At the first start."""
    assert valkey.cut_zeros(tmp_path / "new") == ""


def test_a_stack_starts_after_a_power_cut(tmp_path: Path) -> None:
    """It says what it cut, also in the part's log; who signed up is there."""
    with running(tmp_path) as run:
        assert run.sign_up({"email": "ada@example.org", "first_name": "Ada", "red_systems": 2}) == 202
        signed_up = set(run.redis().scan_iter("eg:contact:*"))
    log = log_of(tmp_path / "valkey")
    with log.open("ab") as file:
        file.write(b"\0" * 4096)
    with running(tmp_path) as run:
        assert signed_up and set(run.redis().scan_iter("eg:contact:*")) == signed_up
    assert "Cut 4096 zero bytes" in (tmp_path / "logs" / "valkey.log").read_text()


def test_a_damaged_log_is_named(log: Path, tmp_path: Path) -> None:
    """One sentence, with where and what to do."""
    text = bytearray(log.read_bytes())
    text[20:40] = b"\0" * 20
    log.write_bytes(text)
    (tmp_path / "valkey").mkdir()
    log.parent.rename(tmp_path / "valkey" / "appendonlydir")
    said = refused(environ_for(tmp_path))
    assert said.startswith(f"Evergreen cannot start: {DAMAGED}{tmp_path}/logs/valkey.log says where.")
    assert "docs/backup.md" in said and said.count("\n") == 1
