"""Restoring beside what came in after the loss: each history is lived twice, once with a ledger that is lost in the
middle of it and once with one that is not, and must come to the same emails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.lost_history import AFTER, BEFORE, BY_HAND, Tale, by_website, lived, outcome


@pytest.mark.parametrize(
    ("before", "after"),
    # what a person decides on another campaign's enrollment they would have decided on none, had that been refused
    [(before, after) for before in BEFORE for after in AFTER if before is not by_website or after not in BY_HAND],
    ids=lambda part: part.__name__,
)
def test_a_loss_changes_nothing(
    told: Callable[[], Tale], before: Callable[[Tale], None], after: Callable[[Tale], None]
) -> None:
    """For every history before the loss and after it: the same emails, the same doubts, the same ends."""
    never_lost = outcome(lived(told(), before, after, loses=False))
    tale = lived(told(), before, after, loses=True)
    tale.restore()
    assert outcome(tale) == never_lost
    assert max(tale.lost.sent().values(), default=1) == 1
