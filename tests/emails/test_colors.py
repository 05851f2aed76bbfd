"""A brand's color: readable everywhere, and left alone where it already is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.emails.colors import contrast, ink, readable


@given(st.integers(0, 0xFFFFFF))
def test_every_brand_color_is_readable(number: int) -> None:
    """The button's letters, and the accent on the light and the dark card, reach the contrast that WCAG asks of
    text."""
    color = f"#{number:06x}"
    assert (
        contrast(ink(color), color) >= 4.18
    )  # the worst that a choice of two inks allows, at a middle gray; large bold text needs 3
    assert all(contrast(readable(color, card), card) >= 4.5 for card in ("#fdfdfc", "#1f2427"))


def test_a_readable_brand_color_is_left_alone() -> None:
    """The owner's color is changed only where it could not be read."""
    assert readable("#1f6f54", "#fdfdfc") == "#1f6f54"
    assert readable("#ffd400", "#fdfdfc") != "#ffd400"
