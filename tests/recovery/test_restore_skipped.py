"""Restoring an enrollment of which a person had left out an email that was still to come."""

from __future__ import annotations

from collections.abc import Callable

from shared.ledger import ids
from tests.recovery.test_restore_beside import CHRISTMAS, Tale, told

__all__ = ["told"]


def test_an_email_that_a_person_left_out_before_the_loss_stays_out(told: Callable[[], Tale]) -> None:
    """Notion knew all before Redis was gone."""
    tale = told()
    tale.signs_up()
    run = f"{CHRISTMAS}-1"
    tale.decides("skip", run, 3)
    tale.pass_hours(24)
    tale.lose()
    tale.restore()
    tale.pass_hours(24 * 30)
    assert tale.lost.sent()[ids.email_id(run, 3)] == 0
