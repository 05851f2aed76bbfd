"""What the measured attack says does not hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.attack.attackers import networks
from benchmarks.attack.customers import Customers
from benchmarks.attack.measuring import Stretch
from benchmarks.attack.outcomes import Outcome
from local.trial import Trial
from shared.domain.catalog import Catalog

HELD = "More sign-ups than usual: new ones wait for a confirmation"


def stretch(answers: tuple[float, ...] = (0.1,), refused: tuple[int, ...] = (), **changes: Any) -> Stretch:
    """A stretch in which all went well, but for what is changed."""
    nowhere = Customers(Trial.__new__(Trial), Catalog({}, {}), "group", {}, list(answers), list(refused))
    well = Stretch(nowhere, Counter({202: 9}), [20.0] * 300, 0, [1.0, 1.0], 6, 3, (4.0, 9.0), 9.0, [HELD])
    return replace(well, **changes)


def outcome(attacked: Stretch, **changes: Any) -> Outcome:
    """An attack after which nothing is left."""
    return replace(Outcome(stretch(), attacked, 0, 0, 4.1, 2.0), **changes)


def test_all_is_well() -> None:
    """One alert for the flood and any number of leads are as they should be."""
    found = outcome(stretch(words=["CRITICAL lead: Eve", HELD, "40 urgent leads in the last minute"]))
    assert found.problems() == []
    assert "| 1 | 2 | 4.0, 9.0, 4.1 |" in found.row("a flood")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (outcome(stretch(late=[20.0] * 290 + [5000.0] * 10)), "emails were late"),
        (outcome(stretch(), lost=1), "1 emails were lost"),
        (outcome(stretch(), twice=2), "2 left twice"),
        (outcome(stretch(answers=(0.1, 1.2))), "an unsubscribe took 1.2 s"),
        (outcome(stretch(refused=(503,))), "answered [503]"),
        (outcome(stretch(while_stopped=1)), "1 emails left while"),
        (outcome(stretch(commands=[1.0, "no Redis"])), "no Redis"),
        (outcome(stretch(), purged="no Redis"), "the purge failed"),
        (outcome(stretch(words=[HELD, HELD])), "the owner got"),
        (outcome(stretch(words=[HELD, "The ledger is full"])), "the owner got"),
        (outcome(stretch(), after=7.0), "3.0 of 5.0 MB"),
    ],
)
def test_what_does_not_hold_is_said(found: Outcome, said: str) -> None:
    """Each fault is named, and only it."""
    (problem,) = found.problems()
    assert said in problem


def test_networks_are_different() -> None:
    """Each address is a network of its own, of those that are kept for benchmarks."""
    found = networks(100_000)
    assert len(set(found)) == 100_000
    assert {address.split(".")[0] for address in found} == {"198"} and found[-1].startswith("198.19.")
