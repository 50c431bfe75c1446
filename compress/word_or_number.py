"""Settings that are a word or a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


def word_or_number(word: str, fits: Callable[[float], bool], right: str) -> BeforeValidator:
    """Return the validator of a word, or a number that fits; `right` says which numbers do."""

    def checked(value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value == word or (is_number and fits(value)):
            return value
        raise ValueError(f"should be {word}, or {right}")

    return BeforeValidator(checked)


NoneOrPoints = Annotated[
    float | Literal["none"], word_or_number("none", lambda points: 0 < points < 100, "points above 0 and below 100")
]
