"""The signature of every model that this project writes: its input and its outputs.

The input is `image (batch, height, width, channels) uint8`, unscaled pixels: scaling them is part of the model. The
outputs are `logits (batch, classes) float32` and `probabilities`, their softmax, in this order.
"""

from __future__ import annotations

from typing import Literal, get_args

TensorName = Literal["image", "logits", "probabilities"]
TensorType = Literal["uint8", "float32"]  # as NumPy names them
INPUT, LOGITS, PROBABILITIES = get_args(TensorName)
INPUT_TYPE, OUTPUT_TYPE = get_args(TensorType)
OUTPUTS = (LOGITS, PROBABILITIES)
BATCH_DIMENSION = "batch"  # name of each tensor's first dimension, which is free
LAYOUT = "NHWC"
