"""Which Redis commands use while `make run` is running: the stack's, or another, and then they say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import valkey
from shared.core.stack_file import ROOT
from tests.support.waiting import WITHIN

ELSEWHERE = "redis://127.0.0.1:1/0"
PROGRAM = "import commands, pathlib; commands.ROOT = pathlib.Path.cwd(); commands.main(prog_name='evergreen')"


@pytest.fixture
def stack(tmp_path: Path, valkey_server: valkey.Valkey) -> Path:
    """The folder of a running stack, in that of an owner whose .env names another Redis."""
    (tmp_path / ".local").mkdir()
    settings = f"REDIS_URL='{valkey_server.url}'\nREDIS_PASSWORD='{valkey_server.password}'\n"
    (tmp_path / ".local" / "settings.env").write_text(settings)
    (tmp_path / ".local" / "pids.json").write_text("{}")
    (tmp_path / ".env").write_text(f"REDIS_URL={ELSEWHERE}\n")
    return tmp_path / ".local"


def listed(stack: Path, **environ: str) -> tuple[int, str]:
    """The exit status of `evergreen list`, and what it says beside the list."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LOCAL_DIR": str(stack), **environ}
    command = [sys.executable, "-c", PROGRAM, "list"]
    ended = subprocess.run(command, cwd=stack.parent, env=given, capture_output=True, text=True, timeout=WITHIN)
    return ended.returncode, ended.stderr


def test_a_running_stack_comes_before_env(stack: Path) -> None:
    """Its own Redis is used, as `make run` does, and the command says so."""
    said = f"`make run` is running in {stack}: commands use its Redis, not REDIS_URL of .env.\n"
    assert listed(stack) == (0, said)


def test_a_file_that_names_it_counts_as_well(stack: Path) -> None:
    """REDIS_URL_FILE in .env."""
    (stack.parent / "url").write_text(ELSEWHERE)
    (stack.parent / ".env").write_text(f"REDIS_URL_FILE={stack.parent / 'url'}\n")
    assert listed(stack)[0] == 0


@pytest.mark.parametrize("how", ["environment", "ENV_FILE"])
def test_what_is_asked_for_comes_first(stack: Path, how: str) -> None:
    """REDIS_URL in the environment, or in a file that the environment names; the command says that it looks
    elsewhere."""
    asked = {"REDIS_URL": ELSEWHERE} if how == "environment" else {"ENV_FILE": str(stack.parent / ".env")}
    status, said = listed(stack, **asked)
    assert status == 1
    assert said.startswith("REDIS_URL is set, so commands do not use the stack of `make run`")
    assert "Redis does not answer" in said


def test_while_nothing_runs_env_counts(stack: Path) -> None:
    """It is the Redis of another installation."""
    (stack / "pids.json").unlink()
    status, said = listed(stack)
    assert status == 1 and said.startswith("Error: Redis does not answer")
