"""Channels by number, some of which belong together: a union-find structure (Tarjan, 1975)."""

from __future__ import annotations

import numpy as np


class Channels:
    """Channels that are created, coupled, and sometimes have to stay."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}

    def new(self, count: int, reason: str | None = None) -> np.ndarray:
        """Return the numbers of new channels; with a reason, even an empty one, they have to stay."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        numbers = np.arange(first, first + count)
        if reason is not None:
            self.keep(numbers, reason)
        return numbers

    def couple(self, these: np.ndarray, those: np.ndarray) -> None:
        """Let each channel of one array belong together with that at the same place of the other."""
        for one, other in zip(these.tolist(), those.tolist(), strict=True):
            self._parents[self._first(other)] = self._first(one)

    def keep(self, channels: np.ndarray, reason: str) -> None:
        """Let channels stay, for a reason."""
        for number in channels.tolist():
            self._reasons.setdefault(number, reason)

    def resolved(self) -> tuple[np.ndarray, dict[int, str]]:
        """Return a new number of each channel, the same for coupled ones, and why those that have to stay do so."""
        firsts = np.array([self._first(number) for number in range(len(self._parents))])
        _, numbers = np.unique(firsts, return_inverse=True)
        reasons: dict[int, str] = {}
        for number, reason in self._reasons.items():
            known = reasons.get(int(numbers[number]))
            reasons[int(numbers[number])] = known or reason
        return numbers, reasons

    def _first(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]  # so that the next way is shorter
            number = self._parents[number]
        return number
