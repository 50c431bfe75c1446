"""The precisions of ONNX models, one per row: everything that depends on the precision is looked up here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """How a model's values are stored and computed.

    `tolerance` is how far a logit may be off on another machine, as a fraction of the largest logit. `hub_file` is the
    name that the Hugging Face Hub's tools expect for such a model in `onnx/` (Transformers.js, src/utils/dtypes.js).
    """

    name: str
    tolerance: float
    hub_file: str


# Float sums in another order differ in their last digits; in int8, different rounding moves a value by a whole step,
# and such steps add up over the layers.
FP32 = Precision("fp32", tolerance=1e-4, hub_file="model.onnx")
INT8 = Precision("int8", tolerance=0.05, hub_file="model_quantized.onnx")
PRECISIONS = {precision.name: precision for precision in (FP32, INT8)}
