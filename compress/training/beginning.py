"""What a teacher begins with if not with random weights: published ones of its trunk, or all that a run has trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from compress import pretrained, trained_weights
from compress.artifacts import Dataset
from compress.context import Context
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.metrics.intervals import wilson
from compress.training.evaluation import evaluate, forward_of
from compress.training.scale import bring_to_scale

SHOWN = 5  # classes in a line


def begin_trunk(model: Any, blocks: tuple[str, ...], file: Path, data: Dataset, context: Context) -> None:
    """Set the weights of a Keras model's trunk, see `pretrained.load_into`, bring them to scale, and say so."""
    pretrained.load_into(model, blocks, file, from_bgr=True)
    context.note(f"{context.stage}: begins from the trunk in {file}")
    bring_to_scale(model, blocks, images_of(data, "train"), context)


def begin_whole(model: Any, file: Path, data: Dataset, context: Context) -> None:
    """Set all weights of a Keras model, see `trained_weights.load_into`; say so, and what the file does not tell."""
    told = trained_weights.load_into(model, file, data.image_shape, data.classes)
    context.note(f"{context.stage}: begins from all layers of {file}")
    if told is None:
        named = ", ".join([*data.classes[:SHOWN], *(["..."] if len(data.classes) > SHOWN else [])])
        context.note(f"{context.stage}: {file} does not tell its classes, which are taken to be the data's: {named}")
        context.note(f"{context.stage}: nor does it tell its images: it may have seen those of validation and test")
    elif told.image_shape != data.image_shape:
        theirs, ours = ("x".join(map(str, shape)) for shape in (told.image_shape, data.image_shape))
        context.note(f"{context.stage}: {file} was trained on images of {theirs}, these are {ours}")


def judge(model: Any, data: Dataset, context: Context) -> None:
    """Say how good a Keras model is that nothing trains; raises `BadInputError` if what it gives is not finite."""
    labels = data.labels("validation")
    context.progress(0.0, f"looking at {len(labels):,} validation images")
    with np.errstate(invalid="ignore"):  # what is not finite is refused below
        result = evaluate(forward_of(model), images_of(data, "validation"), labels)
    if not math.isfinite(result.cross_entropy):
        raise BadInputError(
            f"teacher.weights: give a validation cross-entropy of {result.cross_entropy}; should be weights of a "
            "training that went well"
        )
    context.note(f"{context.stage}: not trained, validation accuracy {result.accuracy:.4f}")
    most_frequent = float(np.bincount(labels).max() / len(labels))
    if wilson(round(result.accuracy * len(labels)), len(labels))[0] <= most_frequent:
        context.note(
            f"{context.stage}: that is not clearly better than to name the most frequent class, {most_frequent:.4f}: "
            "the classes may be in another order than the data's, or the images of another kind"
        )
