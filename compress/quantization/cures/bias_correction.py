"""Biases that make up for the rounding of weights, see `compress.quantization.biases`: the model takes no longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compress.quantization.candidates import Candidate, Workbench


def cured(candidate: Candidate, workbench: Workbench) -> Iterator[Candidate]:
    """Yield the candidate with corrected biases."""
    if not candidate.corrects_biases:
        yield replace(candidate, corrects_biases=True)
