from __future__ import annotations

import pytest

from compress.durations import between, duration, rounded_up, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1h1m1s", 3661)]
)
def test_a_time_has_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["30", "-30m", "0m", "0h0m", "", "m", "30 m", "2d", "30m1h", "1e3s", "infm"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit, such as 90s"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1m"), (60, "1m"), (61, "2m"), (3600, "1h"), (3601, "1h1m"), (7199, "2h")]
)
def test_a_time_is_rounded_up_to_minutes_that_can_be_read_again(seconds: float, text: str) -> None:
    assert rounded_up(seconds) == text
    assert seconds <= seconds_of(text) < seconds + 60


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3660, "61 min")])
def test_a_time_is_told_in_seconds_or_minutes(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (200, 840, "3 to 14 min"),
        (50, 840, "50 s to 14 min"),
        (20, 70, "20 to 70 s"),
        (831, 840, "about 14 min"),
        (0, 840, "at most about 14 min"),
    ],
)
def test_a_time_that_is_not_known_is_told_as_a_range(least: float, most: float, text: str) -> None:
    assert between(least, most) == text
