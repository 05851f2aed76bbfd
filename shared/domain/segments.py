"""The three segments of an assessed contact, from the most to the least urgent."""

from __future__ import annotations

from typing import Literal

Segment = Literal["CRITICAL", "URGENT", "OPTIMIZE"]
SEGMENTS: tuple[Segment, ...] = ("CRITICAL", "URGENT", "OPTIMIZE")


def segment(red: int, orange: int) -> Segment:
    """Say how urgent a contact's situation is.

    Args:
        red: how many of the eight assessed systems are red.
        orange: how many are orange.
    """
    if red >= 2:
        return "CRITICAL"
    if red == 1 or orange >= 2:
        return "URGENT"
    return "OPTIMIZE"
