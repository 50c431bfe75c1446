"""Layers left in float, which takes longer: those that do the most damage first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compress.quantization.blame import damages
from compress.quantization.candidates import Candidate, Workbench


def cured(candidate: Candidate, workbench: Workbench) -> Iterator[Candidate]:
    """Yield the candidate with one layer more in float each time, all but one at last."""
    worst = [layer for layer, _ in damages(candidate, workbench)]
    for count in range(1, len(worst)):
        yield replace(candidate, in_float=tuple(worst[:count]))
