"""Times in words, as people read and write them."""

from __future__ import annotations

import re

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
PATTERN = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in UNITS))


def duration(seconds: float) -> str:
    """Return a time in whole seconds or, from 90 on, in whole minutes."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def between(least: float, most: float) -> str:
    """Return in words that something takes so many seconds, from the least to the most."""
    low, high = duration(least), duration(most)
    if low == high:
        return f"about {high}"
    if least < 0.5:
        return f"at most about {high}"
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def seconds_of(text: str) -> float:
    """Return the seconds of a time such as 90s, 30m, 2h or 1h30m; raises `ValueError` for anything else, or for 0."""
    found = PATTERN.fullmatch(text)
    seconds = sum(float(n or 0) * unit for n, unit in zip(found.groups(), UNITS.values(), strict=True)) if found else 0
    if not seconds:
        raise ValueError("should be a time above 0 with its unit, such as 90s, 30m, 2h or 1h30m")
    return seconds


def rounded_up(seconds: float) -> str:
    """Return the shortest time in whole minutes that `seconds` fit into, as `seconds_of` reads it."""
    hours, minutes = divmod(-int(-seconds // 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")
