"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: 1 image, 1,500 images; `plural` is needed where it is not singular + "s"."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
