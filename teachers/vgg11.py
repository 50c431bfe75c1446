"""VGG11, VGG16's shallower sibling (Simonyan and Zisserman, 2015, configuration A): eight convolutions instead of 13.

It shows how to add a teacher of your own: one file, chosen by teacher.architecture. Its options are VGG16's.
"""

from __future__ import annotations

from functools import partial

from teachers.vgg16 import BLOCKS, vgg

__all__ = ["BLOCKS", "EXAMPLE", "WEIGHTS", "build"]

EXAMPLE = ((32, 32, 1), 10)
WEIGHTS = 9_232_714  # of build(*EXAMPLE), batch normalization's running statistics included

CONVOLUTIONS = (1, 1, 2, 2, 2)

build = partial(vgg, "vgg11", CONVOLUTIONS)
