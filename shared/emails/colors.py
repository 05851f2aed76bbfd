"""Color arithmetic that keeps a brand's color readable, based on WCAG 2.2 (relative luminance and contrast ratio)."""

from __future__ import annotations

INKS = ("#ffffff", "#16191b")


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in _channels(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """How well two colors stand apart: from 1 (the same) to 21 (black on white); text needs 4.5.

    Args:
        one: a color as `#rrggbb`.
        other: another color.
    """
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def ink(background: str) -> str:
    """The color, light or dark, that makes text most readable on a background.

    Args:
        background: a color as `#rrggbb`.
    """
    return max(INKS, key=lambda color: contrast(color, background))


def readable(color: str, background: str) -> str:
    """The color itself, or the nearest lighter or darker shade of it that is readable as text.

    Args:
        color: the preferred color, as `#rrggbb`.
        background: what lies behind the text, as `#rrggbb`.
    """
    target = _channels(ink(background))
    for percent in range(0, 100, 5):
        mixed = (round(c + (t - c) * percent / 100) for c, t in zip(_channels(color), target, strict=True))
        shade = "#{:02x}{:02x}{:02x}".format(*mixed)
        if contrast(shade, background) >= 4.5:
            break
    return shade
