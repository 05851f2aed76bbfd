"""Restoring beside what came in after the loss: each story is played twice, once with a ledger that is lost in the
middle of it and once with one that is not, and must come to the same emails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.lost_history import AFTER, BEFORE, DECISIONS, Story, by_website, live_through, outcome


@pytest.mark.parametrize(
    ("before", "after"),
    # what a person decides on another campaign's enrollment they would have decided on none, had that been refused
    [(before, after) for before in BEFORE for after in AFTER if before is not by_website or after not in DECISIONS],
    ids=lambda part: part.__name__,
)
def test_a_loss_changes_nothing(
    new_story: Callable[[], Story], before: Callable[[Story], None], after: Callable[[Story], None]
) -> None:
    """For every story before and after the loss: the same emails, the same doubts, the same ends."""
    never_lost = outcome(live_through(new_story(), before, after, loses=False))
    story = live_through(new_story(), before, after, loses=True)
    story.restore()
    assert outcome(story) == never_lost
    assert max(story.lost.sent().values(), default=1) == 1
