"""Which layers an int8 model's loss comes from: each is quantized alone."""

from __future__ import annotations

from dataclasses import replace

from compress.artifacts import Damage
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.choice import signal_to_noise
from compress.quantization.layers import Layer, layers_of
from compress.quantization.settings import JUDGED


def damages(candidate: Candidate, workbench: Workbench) -> list[tuple[Layer, Damage]]:
    """Return each layer, and what it does to the answers if it alone is quantized; the worst first.

    It is quantized as the candidate has it.
    """
    layers = layers_of(candidate.model)
    wanted = workbench.wanted[:JUDGED]
    before, found = workbench.score(wanted), []
    for layer in layers:
        alone = replace(candidate, in_float=tuple(other for other in layers if other != layer))
        logits = workbench.logits(alone, JUDGED)
        lost = 100 * (before - workbench.score(logits))
        found.append((layer, Damage(layer.label, signal_to_noise(wanted, logits), lost)))
    return sorted(found, key=lambda pair: pair[1].signal_to_noise)
