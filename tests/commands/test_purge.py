"""`evergreen purge`: it says what it would erase, asks, and refuses to guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from local import valkey
from shared.domain import campaign_files
from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.commanding import Commands
from tests.support.world import SETTINGS

ADDRESS = "flood@example.org"


@pytest.fixture
def evergreen(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """The command line, on the test's Valkey, where a stranger has just signed someone up."""
    ledger = Ledger(redis)
    visitor = Visitor("192.0.2.7", ("192.0.2.7/32",))
    intake = Intake(ledger, campaign_files.load(), SETTINGS, ledger.now(), "request-1", visitor=visitor)
    form = SignUp.model_validate({"email": ADDRESS, "assessment_score": 45})
    enrolling.sign_up(form, trigger="christmas-signup", intake=intake)
    return Commands(monkeypatch, tmp_path, valkey_server)


def is_known(redis: Redis) -> bool:
    """Whether the contact is there."""
    return bool(redis.exists(ids.contact_key(ids.digest(ADDRESS))))


def test_it_says_what_it_would_erase_and_asks(evergreen: Commands, redis: Redis) -> None:
    """With `n` nothing is gone; with `y` all of it is, and it says how much that was."""
    refused = evergreen("purge", "--since", "2h", "--unconfirmed", answer="n\n")
    assert "This erases 0 sign-ups that wait for confirmation, 1 contacts and 1 enrollments." in refused.output
    assert refused.exit_code == 1 and is_known(redis)
    done = evergreen("purge", "--since", "2h", "--unconfirmed", answer="y\n")
    assert "Erased: 0 sign-ups that wait for confirmation, 1 contacts and 1 enrollments." in done.output
    assert done.exit_code == 0 and not is_known(redis)


def test_json_says_how_much_was_erased(evergreen: Commands) -> None:
    """For a program: the counts, the pages of Notion and what became of the append-only file."""
    done = evergreen.json("purge", "--since", "1d", "--unconfirmed", "--yes")
    assert (done["contacts"], done["enrollments"], done["held"], done["pages"]) == (1, 1, 0, 0)
    assert done["log"] in ("rewritten", "absent")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "2h"), "add --unconfirmed"),
        (("--unconfirmed",), "Missing option '--since'"),
        (("--since", "yesterday", "--unconfirmed"), "'yesterday' is not a valid time"),
    ],
)
def test_it_refuses_to_guess(evergreen: Commands, redis: Redis, arguments: tuple[str, ...], message: str) -> None:
    """Without a time, without a readable one, or without saying what is meant, nothing is erased."""
    result = evergreen("purge", *arguments)
    assert result.exit_code == 2 and message in result.output
    assert is_known(redis)
