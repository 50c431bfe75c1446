"""Every value that the calibration images give."""

from __future__ import annotations

from compress.quantization.observation import Observed, Range


def ranges(observed: Observed) -> dict[str, Range]:
    """Return the least and the greatest value of each activation; raises as `Observed` does."""
    return dict(observed.spans)
