"""Transfer learning in phases: the head first, on a trunk that is frozen, then the last blocks with it.

Yosinski et al., "How transferable are features in deep neural networks?" (2014). The output of the frozen part is
the same in every epoch, so it is computed once for each image, or for a few views of it, and kept on disk: a head then
trains in seconds on a CPU.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.arrays import array_writer
from compress.artifacts import Dataset
from compress.context import Context
from compress.data.augmentation import Augmentation, view_of
from compress.data.balance import Metric
from compress.data.batches import Batches, Epoch
from compress.data.images import Images, images_of, in_batches
from compress.files import write_file
from compress.tensorflow import keras, tf
from compress.training import precision
from compress.training.checkpoint import START
from compress.training.evaluation import forward_of
from compress.training.fit import Fitted, fit
from compress.training.settings import Engine, LabelSettings, Phase, Schedule

MIN_FREE = 1 << 30  # bytes of the disk that kept features leave free
PRIOR, MAX_DECAY = 1000.0, 2.0  # images that the prior of a head counts as; measured on 90 to 1,000 images


def fit_phase(
    model: Any,
    blocks: Sequence[str],
    phase: Phase,
    number: int,
    batches: Batches,
    data: Dataset,
    settings: LabelSettings,
    engine: Engine,
    context: Context,
    metric: Metric = "accuracy",
    *,
    is_trained: bool = False,
) -> Fitted:
    """Train the head and the last `phase.blocks` of a model in place, the rest frozen; arguments and result as `fit`'s.

    `blocks` are the prefixes of the trunk's layer names, in order; what follows the last one is the head. A phase after
    the first, or any if the model `is_trained`, keeps the weights it began with if none of its epochs was better.
    """
    name = f"phase{number}"
    validation = images_of(data, "validation"), data.labels("validation")
    n, n_validation = len(batches.images), len(validation[0])
    settings = settings.model_copy(update=_settings(phase, n, settings.schedule))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    frozen = tuple(f"{block}_" for block in blocks[: len(blocks) - phase.blocks])
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(frozen)
    end = cut(model, frozen) if phase.views and not settings.mixing.is_on else None
    if end is not None:
        batches = _in_views(batches, phase.views)
    alike = partial(fit, loss=loss, settings=settings, engine=engine, context=context, name=name)
    train = partial(alike, may_stop_from=START if number > 1 or is_trained else 0, metric=metric)
    if end is None or not _is_kept(end, n * phase.views + n_validation, name, context):
        fitted = train(model, batches=batches, validation=validation)
    else:
        resumed = any(context.checkpoint.glob(f"{name}-*.npy"))  # features of a run that was interrupted
        start = time.perf_counter()
        trunk, head = keras.Model(model.input, end.output), keras.Model(end.output, model.output)
        with precision.computing_in(precision.checked(engine.precision)):
            views = [
                features(trunk, batches.images, name, view, settings.augmentation, context)
                for view in range(phase.views)
            ]
            held_out = features(trunk, validation[0], f"{name}-validation", 0, settings.augmentation, context)
        computed = time.perf_counter()
        fitted = train(head, batches=_of_features(batches, Views(views)), validation=(held_out, validation[1]))
        trained = time.perf_counter()
        if context.is_chief and fitted.epochs:
            text = f"{fitted.epochs} epochs on kept features of {n:,} images took {trained - computed:.1f} s"
            if not resumed:
                passes = fitted.epochs * (n + n_validation) / (n * phase.views + n_validation)
                seconds = computed - start
                text += f"; computing these took {seconds:.1f} s, which saved {seconds * (passes - 1):,.0f} s"
            context.note(f"{context.stage}: {name}: {text}")
    for layer in model.layers:
        layer.trainable = True
    return fitted


def _settings(phase: Phase, n: int, schedule: Schedule) -> dict[str, Any]:
    """Return what a phase on `n` images sets otherwise than the training of all layers.

    A head is trained to its end before anything below it moves (Kumar et al., "Fine-Tuning Can Distort Pretrained
    Features and Underperform Out-of-Distribution", 2022). Its decay is that of logistic regression with a prior, whose
    weight is that of a fixed number of images.
    """
    whole = schedule.model_copy(update={"shape": "one_cycle"}) if schedule.shape == "wsd" else schedule
    of_head = {"patience": phase.epochs, "weight_decay": min(MAX_DECAY, PRIOR / n), "schedule": whole}
    own = {} if phase.weight_decay == "auto" else {"weight_decay": phase.weight_decay}
    return {**phase.model_dump(include={"epochs", "learning_rate"}), **({} if phase.blocks else of_head), **own}


@dataclass(frozen=True)
class Views:
    """Features of some views of the same n images, as one array: row v n + i is that of image i in view v."""

    arrays: Sequence[np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all views together."""
        return (len(self), *self.arrays[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.arrays[0].dtype

    def __len__(self) -> int:
        """Return the number of rows of all views."""
        return len(self.arrays) * len(self.arrays[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the rows of a slice or of an array of indices."""
        views, rows = np.divmod(np.arange(len(self))[key], len(self.arrays[0]))
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for view in np.unique(views):
            out[views == view] = self.arrays[view][rows[views == view]]
        return out


def _in_views(batches: Batches, views: int) -> Batches:
    """Return batches of the same images, in each epoch in one of a few views, which are those that `features` takes.

    Whether features are kept or computed anew, which the free disk decides, a phase trains on the same pixels.
    """

    def choose(epoch: int) -> Epoch:
        indices = batches.choose(epoch).indices
        return Epoch(indices, np.full(len(indices), epoch % views), draw_ids=indices)

    seen = copy.copy(batches)
    seen.choose = choose
    return seen


def _of_features(batches: Batches, features: Views) -> Batches:
    """Return batches of the features of the same images in the same views."""
    n = len(batches.images)

    def choose(epoch: int) -> Epoch:
        chosen = batches.choose(epoch)
        return Epoch(chosen.indices + n * chosen.views, chosen.views, chosen.draw_ids)

    return Batches(
        features,
        lambda indices, views: batches.targets(indices % n, views),
        choose,
        batches.batch_size,
        batches.seed,
        weights=np.tile(batches.weights, len(features.arrays)),
    )


def cut(model: Any, frozen: tuple[str, ...]) -> Any:
    """Return the last layer whose output is the same in each epoch and all that later layers see; None without one.

    It is the end of the frozen blocks, or a pooling after it: the smaller the features, the better.
    """
    ends = [i for i, layer in enumerate(model.layers) if layer.name.startswith(frozen)]
    if not frozen or not ends:
        return None
    last = ends[-1]
    while last + 1 < len(model.layers) and _is_fixed(model.layers[last + 1]):
        last += 1
    before = model.layers[: last + 1]
    for layer in model.layers[last + 1 :]:
        if {id(x) for x in tf.nest.flatten(layer.input)} & {id(other.output) for other in before[:-1]}:
            return None  # a connection past the cut
    return None if any(map(_is_random, before)) else before[-1]


def _is_fixed(layer: Any) -> bool:
    return not layer.weights and not _is_random(layer)


def _is_random(layer: Any) -> bool:
    return hasattr(layer, "_random_generator")


def _is_kept(end: Any, rows: int, name: str, context: Context) -> bool:
    """Tell whether to keep features; decided once, since kept features change how much space is free."""

    def decide(file: Path) -> None:
        write_file(file, b"kept" if _fits(end, rows, context) else b"not kept")

    return context.made(context.checkpoint / f"{name}-features", decide).read_bytes() == b"kept"


def _fits(end: Any, rows: int, context: Context) -> bool:
    needed = 4 * rows * math.prod(end.output.shape[1:])
    free = shutil.disk_usage(context.checkpoint).free - MIN_FREE
    if needed > free:
        context.note(
            f"{context.stage}: features would take {needed / 1e9:.1f} GB of disk, {max(0, free) / 1e9:.1f} GB are "
            "free: they are computed anew in each epoch"
        )
    return needed <= free


def features(
    trunk: Any, images: Images, name: str, view: int, augmentation: Augmentation, context: Context
) -> np.ndarray:
    """Return a model's output for a view of all images, `(n, ...) float32`, read from disk if it was made before."""

    def make(file: Path) -> None:
        forward = forward_of(trunk)
        done = 0
        with array_writer(file, (len(images), *trunk.output.shape[1:]), "<f4") as write:
            for batch in in_batches(images):
                write(forward(view_of(batch, view, done, augmentation, context.seed)))
                done += len(batch)
                context.progress(0.0, f"{name}: features of view {view + 1}, {done:,} of {len(images):,} images")

    file = context.made(context.checkpoint / f"{name}-features{view}.npy", make)
    return np.load(file, mmap_mode="r", allow_pickle=False)
