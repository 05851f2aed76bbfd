"""Doubts beside an email that is on its way while Resend's list is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.enrollments import Contact
from shared.emails.subjects import Subjects
from shared.integrations.provider import Listed
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.recovery.test_doubts import Doubtful
from tests.support.sandbox_server import Sandbox, sandbox


class TwoAlike(Subjects):
    """The second step's email has the third's subject, too."""

    def of(self, slug: str, step: int, contact: Contact) -> set[str]:
        """Its own, and for the second the third's."""
        return super().of(slug, step, contact) | (super().of(slug, 3, contact) if step == 2 else set())


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


def test_one_that_is_claimed_while_the_list_is_read_settles_nothing(ledger: Ledger, clock: Clock, box: Sandbox) -> None:
    """The ledger is read before the list: what is on its way then may be what is listed."""
    desk = Doubtful(ledger, clock, box)
    run = desk.doubt(taken=False)
    EnrollmentActions(ledger, desk.world.sender.catalog, desk.settings).send_now(run, 3)
    desk.world.release()
    post = ledger.post

    class Meanwhile:
        """Resend's list, read when the claimed email has just been taken."""

        def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
            """A page of it."""
            desk.send("ada@example.org", desk.subject(run, 3))
            return desk.unanswered.listed(after)

    def look_then_post(*given: Any, **named: Any) -> Any:
        ledger.post = post  # type: ignore[method-assign]
        desk.looking(Meanwhile(), TwoAlike(desk.subjects.catalog, desk.subjects.templates, desk.settings)).poll()
        return None

    ledger.post = look_then_post  # type: ignore[method-assign]
    job = desk.world.next_job()
    assert job == (run, 3)
    desk.world.sender.send(*job)
    assert desk.world.states(run)[1:3] == ["in-doubt", "sending"]
