"""The processors that an int8 model can be made for, one per row: everything that depends on them is looked up here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Activations = Literal["uint8", "int8"]
TargetName = Literal["x86-any", "this", "arm", "tensorrt"]


@dataclass(frozen=True)
class Target:
    """What the kernels of some processors need.

    `processors` names them, in the words of a model card. `activations` are the integers that can represent
    activations, the fastest first. `pairs_fit`: weights have 7 bits where sums of two products could exceed 16 bits
    (portability.py). `options` are those of ONNX Runtime's `QDQQuantizer`.
    """

    processors: str
    activations: tuple[Activations, ...]
    pairs_fit: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


# Of the two integers, x86 with VNNI is faster with uint8 and ARM with int8. TensorRT knows neither zero points
# nor biases of 32 bits: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-quantized-types.html
TARGETS: Mapping[str, Target] = {
    "x86-any": Target("any x86 and ARM processor", ("uint8", "int8"), pairs_fit=True),
    "this": Target("processors like the one that made them", ("uint8", "int8")),
    "arm": Target("ARM processors", ("int8",)),
    "tensorrt": Target("TensorRT", ("int8",), options={"ActivationSymmetric": True, "QuantizeBias": False}),
}
