"""The search for an int8 model that loses no more than is allowed.

What costs nothing when the model runs is tried before what does; each cure begins with the best that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compress.artifacts import Damage, Trial
from compress.quantization.blame import damages
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.cures import bias_correction, calibration, equalization, float_layers
from compress.quantization.layers import layers_of

CURES = (calibration, equalization, bias_correction, float_layers)  # in this order


@dataclass(frozen=True)
class Found:
    """The best candidate, the percentage points that it loses, and the evidence.

    That is what was tried, with the fraction of multiply-accumulates in float as its cost, and what int8 does to each
    layer of the first candidate, the worst first; nothing if that one loses no more than is allowed.
    """

    candidate: Candidate
    lost: float
    trials: tuple[Trial, ...]
    damages: tuple[Damage, ...]


def search(start: Candidate, workbench: Workbench, max_drop: float, tell: Callable[[str], None]) -> Found:
    """Return the first candidate that loses at most `max_drop` points of the float model's score, else the best one.

    Of equally good ones, that is the one with the least in float, then that whose answers diverge least. `tell` is
    called with words before each candidate is judged.
    """
    before = workbench.score(workbench.wanted)
    whole = sum(layer.macs for layer in layers_of(start.model)) or 1
    tried = list[tuple[Candidate, float]]()
    best, best_rank = start, (-1.0, 0.0, 0.0)

    def cost(candidate: Candidate) -> float:
        return sum(layer.macs for layer in candidate.in_float) / whole

    def lost(score: float) -> float:
        return round(100 * (before - score), 6)

    def is_enough(candidate: Candidate) -> bool:
        nonlocal best, best_rank
        tell(candidate.told)
        judged = workbench.judged(candidate)
        tried.append((candidate, judged.score))
        rank = judged.score, -cost(candidate), -judged.divergence
        if rank > best_rank:
            best, best_rank = candidate, rank
        return lost(judged.score) <= max_drop

    blamed = tuple[Damage, ...]()
    if not is_enough(start):
        tell("each layer alone")
        blamed = tuple(damage for _, damage in damages(start, workbench))
        any(is_enough(made) for cure in CURES for made in cure.cured(best, workbench))
    trials = tuple(Trial(made.told, score, cost(made), made is best) for made, score in tried)
    return Found(best, lost(best_rank[0]), trials, blamed)
