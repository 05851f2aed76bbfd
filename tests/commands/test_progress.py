"""How far a command is: shown on standard error, so that what it prints can be piped on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from commands.outside import follow


@pytest.mark.parametrize("kind", [list, iter])
def test_a_line_for_each_thousand_says_how_many_of_what(
    kind: Callable[[Iterable[int]], Iterable[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal; the last one is the number of all."""
    assert list(follow(kind(range(2500)), "Reading Email Log")) == list(range(2500))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "Reading Email Log: 1,000\nReading Email Log: 2,000\nReading Email Log: 2,500\n"


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (12, 0), (999, 0), (1000, 1), (1001, 2), (3000, 3)])
def test_what_is_soon_done_is_not_worth_a_line(count: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is a number that was just printed."""
    assert len(list(follow(range(count), "Reading Contacts"))) == count
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_where_it_ended_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Even if reading failed there, or the rest was not wanted."""
    for number in follow(range(9000), "Reading Resend's list"):
        if number == 1233:
            break
    assert capsys.readouterr().err.splitlines()[-1] == "Reading Resend's list: 1,234"
