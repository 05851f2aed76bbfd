"""Pause, ticked and cleared in Notion: the real client against the sandbox, the real recorder, and a fake clock."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from shared.core.errors import NotionError
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.operations.notion_pause import NotionPause
from tests.conftest import Clock
from tests.notion.test_recorder import Desk
from tests.support.sandbox_server import Sandbox
from tests.support.world import World


class Owner(Desk):
    """A recorded run, and the owner's tick in its row."""

    def __init__(self, world: World, box: Sandbox) -> None:
        super().__init__(world, box, "evergreen")
        settings, notion = self.recorder.settings, self.recorder.notion
        assert notion is not None
        self.actions = EnrollmentActions(world.ledger, world.sender.catalog, settings)
        self.ticks = NotionPause(world.ledger, self.actions, settings, notion)
        self.run = world.sign_up()
        self.record()

    def tick(self, pause: bool) -> None:
        """Tick or clear Pause, as a person does."""
        page = self.row("tracker")["id"]
        self.box.notion(
            "PATCH", f"/pages/{page}", json={"properties": {"Pause": {"checkbox": pause}}}
        ).raise_for_status()

    def forget_columns(self) -> None:
        """Have the columns read again, as after half a minute."""
        self.ticks.notion._schemas.clear()

    @property
    def state(self) -> str:
        """The run's state."""
        return self.world.run(self.run).state


@pytest.fixture
def owner(ledger: Ledger, clock: Clock, box: Sandbox) -> Owner:
    return Owner(World(ledger, clock), box)


def test_ticking_pause_pauses_and_clearing_it_resumes(owner: Owner) -> None:
    """The run is held while the box is ticked, and its dates move by that time."""
    owner.world.work()
    second = owner.world.run(owner.run).steps[1].due
    owner.tick(True)
    assert (owner.ticks.poll(), owner.state) == (1, "paused")
    owner.world.live(48)
    assert len(owner.world.provider.accepted) == 1
    owner.tick(False)
    assert (owner.ticks.poll(), owner.state) == (1, "active")
    assert owner.world.run(owner.run).steps[1].due == second + 48 * 3_600_000
    assert owner.ticks.poll() == 0


def test_only_a_change_to_the_checkbox_counts(owner: Owner) -> None:
    """A run that was resumed in the console stays resumed, though the tick is still there; and the other way round."""
    owner.tick(True)
    owner.ticks.poll()
    owner.actions.resume(owner.run)
    assert (owner.ticks.poll(), owner.state) == (0, "active")
    owner.tick(False)
    owner.ticks.poll()
    owner.actions.pause(owner.run)
    assert (owner.ticks.poll(), owner.state) == (0, "paused")


def test_deleting_a_row_does_not_resume(owner: Owner) -> None:
    """Deleting the row does not clear the tick."""
    owner.tick(True)
    owner.ticks.poll()
    page = owner.row("tracker")["id"]
    owner.box.notion("PATCH", f"/pages/{page}", json={"in_trash": True}).raise_for_status()
    assert (owner.ticks.poll(), owner.state) == (0, "paused")
    assert owner.ticks.poll() == 0


@pytest.mark.parametrize("gone", [{"Pause": None}, {"Pause": {"select": {}}}, {"Pause": {"name": "Hold"}}])
def test_a_column_that_is_gone_resumes_no_one(owner: Owner, gone: dict[str, Any]) -> None:
    """Nor does a new column of that name, in which nothing is ticked yet; a renamed one keeps its ticks."""
    path = f"/data_sources/{owner.made['tracker']['data_source_id']}"
    owner.tick(True)
    owner.ticks.poll()
    owner.box.notion("PATCH", path, json={"properties": gone}).raise_for_status()
    with suppress(NotionError):  # as long as it does not know the columns
        owner.ticks.poll()
    owner.forget_columns()
    assert (owner.ticks.poll(), owner.state) == (0, "paused")
    renamed = "name" in (gone["Pause"] or {})
    back: dict[str, Any] = {"Hold": {"name": "Pause"}} if renamed else {"Pause": {"checkbox": {}}}
    owner.box.notion("PATCH", path, json={"properties": back}).raise_for_status()
    owner.forget_columns()
    assert (owner.ticks.poll(), owner.state) == (0, "paused")
    owner.tick(False)
    assert owner.ticks.poll() == (1 if renamed else 0)


@pytest.mark.parametrize("fault", ["status", "disconnect"])
def test_an_unavailable_notion_changes_nothing(owner: Owner, fault: str) -> None:
    """A failed response is not a cleared tick; the next look acts."""
    owner.tick(True)
    owner.ticks.poll()
    owner.fault(fault, status=500, count=20)
    with pytest.raises(NotionError):
        owner.ticks.poll()
    assert owner.state == "paused"


def test_a_tick_on_a_finished_run_does_nothing(owner: Owner) -> None:
    """There is nothing to hold any more."""
    owner.actions.cancel(owner.run)
    owner.tick(True)
    assert (owner.ticks.poll(), owner.state) == (1, "cancelled")
    assert owner.ticks.poll() == 0


def test_a_row_without_a_run_is_left_alone(owner: Owner) -> None:
    """A row made by the owner or an earlier build has no run here."""
    source = owner.made["tracker"]["data_source_id"]
    properties = {"Name": {"title": [{"text": {"content": "Someone"}}]}, "Pause": {"checkbox": True}}
    owner.box.notion(
        "POST", "/pages", json={"parent": {"data_source_id": source}, "properties": properties}
    ).raise_for_status()
    assert owner.ticks.poll() == 0
