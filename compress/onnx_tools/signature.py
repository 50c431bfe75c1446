"""The signature of every model that this project writes: what goes in and what comes out.

`image (batch, height, width, channels) uint8` goes in, pixels as they are: scaling is inside. `logits (batch, classes)
float32` and `probabilities`, their softmax, come out, in this order.
"""

from __future__ import annotations

from typing import Literal, get_args

TensorName = Literal["image", "logits", "probabilities"]
TensorType = Literal["uint8", "float32"]  # numpy's names
INPUT, LOGITS, PROBABILITIES = get_args(TensorName)
INPUT_TYPE, OUTPUT_TYPE = get_args(TensorType)
OUTPUTS = (LOGITS, PROBABILITIES)
BATCH_DIMENSION = "batch"  # the first of each tensor, free
LAYOUT = "NHWC"
