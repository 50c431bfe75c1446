"""VGG11, VGG16's narrower sister (Simonyan and Zisserman, 2015, configuration A): eight convolutions instead of 13.

It shows how a teacher of one's own is added: this one file, picked by teacher.name.
"""

from __future__ import annotations

from typing import Any

from teachers import vgg16
from teachers.vgg16 import BLOCKS, Fraction, Pooling, Scaling, Units, Width

__all__ = ["BLOCKS", "EXAMPLE", "WEIGHTS", "build"]

EXAMPLE = ((32, 32, 1), 10)
WEIGHTS = 9_232_714  # of build(*EXAMPLE), batch normalization's running statistics included

CONVOLUTIONS = (1, 1, 2, 2, 2)


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: Width = 1.0,
    batch_norm: bool = True,
    scaling: Scaling = "unit",
    pooling: Pooling = "average",
    dense: Units = (),
    dropout: Fraction = 0.0,
    head_norm: bool = False,
) -> Any:
    """Return VGG11 as one flat functional Keras graph from pixel values 0 to 255 to logits; options as VGG16's."""
    return vgg16.vgg(
        "vgg11", CONVOLUTIONS, input_shape, classes, width, batch_norm, scaling, pooling, dense, dropout, head_norm
    )
