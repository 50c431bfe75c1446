"""Another calibrator: the model takes no longer for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compress import plugins
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.settings import Calibrator


def cured(candidate: Candidate, workbench: Workbench) -> Iterator[Candidate]:
    """Yield the candidate with each of the other calibrators."""
    for name in plugins.names(Calibrator.package):
        if name != candidate.calibrator.name:
            yield replace(candidate, calibrator=Calibrator(name=name))
