"""`evergreen diff`: what a changed campaign folder does to people in the middle of a campaign, on a real ledger."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.domain.campaign_files import CAMPAIGNS
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.commanding import Commands
from tests.support.world import World


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The campaigns as they will be; the test changes them."""
    return Path(shutil.copytree(CAMPAIGNS, tmp_path / "campaigns"))


@pytest.fixture
def evergreen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, valkey_server: valkey.Valkey, redis: Redis
) -> Commands:
    """The command line, on the test's Valkey and folder."""
    commands = Commands(monkeypatch, tmp_path, valkey_server)
    commands.set(CAMPAIGNS_DIR=str(folder))
    return commands


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    """Ada (CRITICAL) has had two emails of Christmas, and Bob (OPTIMIZE), who is paused, too."""
    world = World(ledger, clock)
    world.sign_up()
    bob = world.sign_up(email="bob@example.org", red_systems=0, orange_systems=0)
    world.live(25)
    EnrollmentActions(ledger, world.sender.catalog, world.settings).pause(bob)
    return world


def change(folder: Path, pattern: str, replacement: str, *, file: str = "campaign.yaml") -> None:
    """Change a file of the Christmas campaign."""
    path = folder / "christmas" / file
    changed, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count
    path.write_text(changed)


def changes(evergreen: Commands, *arguments: str) -> list[tuple[Any, ...]]:
    """What the command finds: step, what, and how many people."""
    return [(each["step"], each["what"], each["people"]) for each in evergreen.json("diff", str(CAMPAIGNS), *arguments)]


def test_nothing_changed(evergreen: Commands, world: World) -> None:
    """It says so."""
    assert changes(evergreen) == []
    assert "The campaigns are the same." in evergreen("diff", str(CAMPAIGNS)).output


def test_a_new_text_reaches_people_who_wait_for_it(evergreen: Commands, world: World, folder: Path) -> None:
    """Both wait for the third email, no one for the second any more; only Ada waits for the fifth for CRITICAL."""
    for file in ("christmas_email_2.md", "christmas_email_3.md", "christmas_email_5_critical.md"):
        change(folder, r"\Z", "\nOne more line.\n", file=file)
    assert changes(evergreen) == [(2, "text", 0), (3, "text", 2), (5, "text", 1)]


def test_notions_text_overrides_the_files(evergreen: Commands, world: World, folder: Path, redis: Redis) -> None:
    """A changed file reaches no one where the owner's own text goes out."""
    redis.hset("eg:templates", "christmas/christmas_email_3", "Subject: Mine\n\nText")
    change(folder, r"\Z", "\nOne more line.\n", file="christmas_email_3.md")
    assert changes(evergreen) == [(3, "text", 0)]
    assert "Notion's text" in " ".join(evergreen("diff", str(CAMPAIGNS)).output.split())


def test_a_removed_step(evergreen: Commands, world: World, folder: Path) -> None:
    """Both lose the seventh; that is what a send of it will say, too."""
    change(folder, r"^.*number: 7.*\n", "")
    assert changes(evergreen) == [(7, "step-gone", 2)]


def test_a_new_step_is_for_new_runs(evergreen: Commands, world: World, folder: Path) -> None:
    """Neither gets an eighth."""
    change(folder, r"\Z", "  - {number: 8, after: 300h, template: christmas_email_7}\n")
    assert changes(evergreen) == [(8, "step-new", 2)]


def test_a_longer_wait_is_for_new_runs(evergreen: Commands, world: World, folder: Path) -> None:
    """The two keep their times: both still wait for the fourth."""
    change(folder, "after: 120h", "after: 144h")
    assert changes(evergreen) == [(4, "time", 2)]
    assert "120 h after becomes 144 h after: enrollments that have started keep" in " ".join(
        evergreen("diff", str(CAMPAIGNS)).output.split()
    )


def test_a_new_late_policy_is_for_all_runs(evergreen: Commands, world: World, folder: Path) -> None:
    """The late policy is read at each claim; a group only at the sign-up."""
    change(folder, "policy: shift", "policy: send")
    change(folder, "group: nurture", "group: another")
    assert changes(evergreen) == [(None, "setting", 0), (None, "setting", 2)]


def test_a_removed_campaign(evergreen: Commands, world: World, folder: Path) -> None:
    """Its runs lose their remaining emails."""
    shutil.rmtree(folder / "christmas")
    assert changes(evergreen) == [(None, "campaign-gone", 2)]


def test_offline_shows_the_lines(evergreen: Commands, folder: Path) -> None:
    """Without a ledger: no numbers, but the changed lines."""
    evergreen.set(REDIS_URL="redis://127.0.0.1:1/0")
    change(folder, r"\Z", "\nOne more line.\n", file="christmas_email_3.md")
    assert changes(evergreen, "--offline") == [(3, "text", None)]
    assert "+One more line." in evergreen("diff", str(CAMPAIGNS), "--offline").output
    assert evergreen("diff", str(CAMPAIGNS)).exit_code == 1, "with a ledger, one must be there"


def test_a_git_revision(evergreen: Commands, folder: Path) -> None:
    """The folder as it was committed is what a changed one is compared with; HEAD unless another is named."""

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-C", folder, "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
            check=True,
            capture_output=True,
        )

    git("init")
    git("add", ".")
    git("commit", "--message", "As it is")
    change(folder, "after: 120h", "after: 144h")
    assert [each["what"] for each in evergreen.json("diff", "--offline")] == ["time"]
    assert [each["what"] for each in evergreen.json("diff", "HEAD", "--offline")] == ["time"]
    wrong = evergreen("diff", "no-such-thing", "--offline")
    assert wrong.exit_code == 1 and "neither a folder nor a revision" in wrong.output


def test_a_queued_enrollment_waits_for_every_step(
    evergreen: Commands, world: World, folder: Path, redis: Redis
) -> None:
    """It has no steps yet, and gets the texts of the day on which they go out."""
    bob = world.sign_up(email="bob@example.org", red_systems=0, orange_systems=0)
    redis.hset(ids.enrollment_key(bob), mapping={"state": "queued", "steps": ""})
    redis.zrem("eg:in:paused", bob)
    redis.zadd("eg:in:queued", {bob: 1})
    change(folder, r"\Z", "\nOne more line.\n", file="christmas_email_2.md")
    change(folder, r"\Z", "\nOne more line.\n", file="christmas_email_3.md")
    assert changes(evergreen) == [(2, "text", 1), (3, "text", 2)]
