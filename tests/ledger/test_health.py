"""Health: what counts as a problem, and which is the most serious."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.ledger.health import BEHIND, OVERDUE_AFTER, SILENT_AFTER, Health, Problem
from shared.ledger.version import VERSION

MB = 1_048_576
WELL = Health(
    tick_age=SILENT_AFTER,
    overdue=OVERDUE_AFTER,
    unlisted=0,
    scheduled=7,
    queued=3,
    workers={"send": 1, "record": 1, "notify": 0},
    outbox=BEHIND,
    gate=None,
    fence=None,
    version=str(VERSION),
    memory=1,
    memory_limit=100 * MB,
)


def test_at_its_limits_everything_is_ok() -> None:
    """Each limit itself is still allowed, and a missing worker for alerts is not judged here."""
    assert WELL.problems == []


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"version": str(VERSION + 1), "gate": "stopped manually"}, [Problem.TOO_NEW, Problem.STOPPED]),
        ({"version": "of another kind"}, [Problem.TOO_NEW]),
        ({"version": None}, []),
        ({"gate": "stopped manually"}, [Problem.STOPPED]),
        ({"fence": "another copy"}, [Problem.FENCED]),
        ({"memory": 69 * MB}, []),
        ({"memory": 70 * MB}, [Problem.MEMORY]),
        ({"memory": 90 * MB}, [Problem.MEMORY]),
        ({"memory": 99 * MB}, [Problem.NO_ROOM]),
        ({"memory": 100 * MB - 1}, [Problem.FULL]),  # one more request does not fit
        ({"memory": 120 * MB, "gate": "x"}, [Problem.FULL, Problem.STOPPED]),
        ({"memory": 120 * MB, "memory_limit": 0}, []),
        ({"tick_age": None}, [Problem.SILENT]),
        ({"tick_age": SILENT_AFTER + 1}, [Problem.SILENT]),
        ({"overdue": OVERDUE_AFTER + 1}, [Problem.OVERDUE]),
        ({"unlisted": 1}, [Problem.UNLISTED]),
        ({"workers": {"send": 0, "record": 1, "notify": 1}}, [Problem.NO_SENDER]),
        ({"notion": ("Contacts: Email is missing",)}, [Problem.NOTION]),
        ({"outbox": BEHIND + 1}, [Problem.BEHIND]),
        ({"workers": {"send": 1, "record": 0, "notify": 1}, "outbox": BEHIND + 1}, [Problem.NO_RECORDER]),
        ({"fence": "the ledger was lost", "outbox": BEHIND + 1}, [Problem.FENCED]),
        ({"gate": "x", "fence": "y", "tick_age": None}, [Problem.STOPPED, Problem.FENCED, Problem.SILENT]),
    ],
)
def test_each_problem_is_named(changes: dict[str, Any], problems: list[Problem]) -> None:
    """The most serious first; where no worker records, or none may, a Notion backlog is not a problem."""
    assert replace(WELL, **changes).problems == problems
