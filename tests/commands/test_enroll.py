"""`evergreen enroll|up|completion`: do manually what a webhook does, on a real ledger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from commands import main
from local import valkey
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.commanding import Commands

ADDRESS = "ada@example.org"
ASSESSED = ("--score", "40", "--red", "2")


@pytest.fixture
def evergreen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey_server: valkey.Valkey, redis: Redis) -> Commands:
    """The command line, on the test's Valkey."""
    return Commands(monkeypatch, tmp_path, valkey_server)


class TestEnroll:
    """What it does, and what it prints."""

    def test_enrolled(self, evergreen: Commands, redis: Redis) -> None:
        """Seven steps, under the normalized address; the first is due at once, and the person is known."""
        said = evergreen.json("enroll", "christmas", " Ada@Example.org", "--name", "Ada Byron", *ASSESSED)
        run = Ledger(redis).enrollment(said["enrollment"])
        assert said["result"] == "enrolled" and run and len(run.steps) == 7
        contact = Ledger(redis).contact(ids.digest(ADDRESS))
        assert contact and contact.segment == "CRITICAL" and contact.fields["name"] == "Ada Byron"
        assert redis.llen(ids.QUEUE) == 1

    def test_enrolling_again_changes_nothing(self, evergreen: Commands) -> None:
        """It names the existing run; exit status 1."""
        first = evergreen.json("enroll", "christmas", ADDRESS, *ASSESSED)
        again = evergreen("enroll", "christmas", ADDRESS, *ASSESSED)
        assert again.exit_code == 1 and "they are already enrolled in this campaign" in again.output
        assert first["enrollment"] in again.output

    def test_blocked_by_the_group(self, evergreen: Commands) -> None:
        """One person is never in two campaigns of a group."""
        christmas = evergreen.json("enroll", "christmas", ADDRESS, *ASSESSED)
        assert evergreen.json("enroll", "busos", ADDRESS, *ASSESSED) == {
            "result": "blocked",
            "enrollment": christmas["enrollment"],
            "next_email_at": None,
        }

    def test_tracked_without_an_assessment(self, evergreen: Commands) -> None:
        """Christmas requires scores."""
        result = evergreen("enroll", "christmas", ADDRESS)
        assert result.exit_code == 1 and "the campaign needs an assessment" in result.output

    def test_a_suppressed_address_is_only_tracked(self, evergreen: Commands) -> None:
        """A suppressed address gets no run."""
        evergreen("suppress", ADDRESS)
        assert evergreen.json("enroll", "christmas", ADDRESS, *ASSESSED)["result"] == "tracked"

    @pytest.mark.parametrize(
        ("campaign", "steps"), [("noshow-recovery", 3), ("postcall-maybe", 3), ("onboarding", 3), ("five-day", 5)]
    )
    def test_every_trigger(self, evergreen: Commands, redis: Redis, campaign: str, steps: int) -> None:
        """What the operator reports, and what a website posts."""
        run = Ledger(redis).enrollment(evergreen.json("enroll", campaign, ADDRESS)["enrollment"])
        assert run and len(run.steps) == steps

    def test_a_meeting(self, evergreen: Commands) -> None:
        """Reminders count from it, in the booker's time zone."""
        said = evergreen.json(
            "enroll", "booking-reminder", ADDRESS, "--meeting", "2099-12-03T10:00", "--timezone", "Europe/Rome"
        )
        assert (said["result"], said["next_email_at"]) == ("enrolled", "2099-12-02T09:00:00.000+00:00")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["christmas", "no-address"], "email: "),
            (["christmas", ADDRESS, "--red", "9"], "red_systems: "),
            (["christmas", ADDRESS, "--red", "8", "--orange", "8"], "add up to at most 8"),
            (["christmas", ADDRESS, "--meeting", "2099-12-03"], "this campaign has no meeting"),
            (["booking-reminder", ADDRESS], "say when the meeting starts"),
            (["easter", ADDRESS], "there is no campaign"),
        ],
    )
    def test_invalid_arguments(self, evergreen: Commands, redis: Redis, arguments: list[str], sentence: str) -> None:
        """One sentence, exit status 2, and no one is enrolled."""
        result = evergreen("enroll", *arguments)
        assert result.exit_code == 2 and sentence in result.output
        assert not redis.keys("eg:enrollment:*")

    def test_without_redis(self, evergreen: Commands) -> None:
        """It says what to start."""
        evergreen.set(REDIS_URL="redis://127.0.0.1:1/0")
        result = evergreen("enroll", "christmas", ADDRESS, *ASSESSED)
        assert result.exit_code == 1 and "Redis does not answer" in result.output


class TestUp:
    """Starting the stack."""

    def test_it_runs_make_run(self, tmp_path: Path) -> None:
        """The program becomes make, in the project's folder, wherever you call it from."""
        make = tmp_path / "make"
        make.write_text('#!/bin/sh\necho "$@"\n')
        make.chmod(0o755)
        called = subprocess.run(
            [sys.executable, ROOT / "evergreen", "up"],
            cwd=tmp_path,
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert called.stdout == f"--no-print-directory -C {ROOT} run\n"

    def test_without_make(self, evergreen: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says how to get it."""
        monkeypatch.setenv("PATH", "")
        result = evergreen("up")
        assert result.exit_code == 1 and "apt-get install make" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(evergreen: Commands, shell: str) -> None:
    """The script asks the program itself."""
    assert "_EVERGREEN_COMPLETE" in evergreen("completion", shell).output


def test_completion_lists_matching_commands(evergreen: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell gets the commands that begin with what you typed."""
    for name, value in {
        "_EVERGREEN_COMPLETE": "bash_complete",
        "COMP_WORDS": "evergreen sim",
        "COMP_CWORD": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(main, [], prog_name="evergreen").output == "plain,simulate\n"
