"""Batches of an epoch, the same for the same seed and epoch, read and augmented while the network trains."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.data.augmentation import DRAWS, Augmentation, Mixing, augment, draws, lambdas, mix
from compress.data.images import Images
from compress.data.workers import at_once
from compress.errors import CompressError
from compress.machine import available_cores
from compress.tensorflow import tf

PREFETCHED = 2
READ_AHEAD = 2  # per core, so that the processes that decode always have work
MAX_READ = 256  # images at once; a call costs as much as reading a few images
NOT_MIXED = Mixing()


@dataclass(frozen=True)
class Epoch:
    """What an epoch trains on, three arrays `(m,) int64` in any order.

    `indices` says which images, `views` and `draw_ids` say which random numbers each of them is augmented with; view 0
    is the image as it is.
    """

    indices: np.ndarray
    views: np.ndarray
    draw_ids: np.ndarray


class Batches:
    """The batches of every epoch: (images float32, targets float32, weights float32).

    Parameters
    ----------
    images
        `(n, height, width, channels) uint8`; or, if nothing is augmented or mixed, features `(n, ...) float32`.
    targets
        Function from the indices of images and their views, both `(b,)`, to their targets `(b, k) float32`.
    choose
        Function from the number of an epoch to what it trains on, always of the same length.
    weights
        Each image's weight in the loss, `(n,) float32`; 1 by default.
    """

    def __init__(
        self,
        images: Images,
        targets: Callable[[np.ndarray, np.ndarray], np.ndarray],
        choose: Callable[[int], Epoch],
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        mixing: Mixing = NOT_MIXED,
        weights: np.ndarray | None = None,
    ) -> None:
        self.images, self.targets, self.choose = images, targets, choose
        self.batch_size, self.seed = batch_size, seed
        self.augmentation, self.mixing = augmentation, mixing
        self.weights = np.ones(len(images), np.float32) if weights is None else weights
        self.size = len(choose(0).indices)
        self.steps = math.ceil(self.size / batch_size)
        self.first = 0  # the number of the first epoch
        self.failure: CompressError | None = None
        """Why a batch could not be read; TensorFlow would only say that it could not."""

    @property
    def sizes(self) -> list[int]:
        """How many images each batch of an epoch holds: `batch_size` at most, and all as many but for one image.

        A small rest at the end would undo in one step what many have learned: its mean gradient is far from that of all
        images, and so are the means and variances that batch normalization takes from it.
        """
        size, larger = divmod(self.size, self.steps)
        return [size + 1] * larger + [size] * (self.steps - larger)

    def beginning_after(self, epochs: int) -> Batches:
        """Return these batches without those of the first epochs."""
        later = copy.copy(self)
        later.first = self.first + epochs
        return later

    def epoch(self, number: int) -> Any:
        """Return the `tf.data.Dataset` of an epoch, shuffled, in batches of `sizes`."""
        number += self.first
        chosen = self.choose(number)
        order = np.random.default_rng([self.seed, number]).permutation(len(chosen.indices))

        all_move = bool(chosen.views.all())
        this = weakref.ref(self)  # TensorFlow keeps what numpy_function calls until the process ends

        def read(*batch: np.ndarray) -> tuple[np.ndarray, ...]:
            batches = this()
            assert batches  # move, below, is part of the dataset and refers to it
            return batches._read(*batch)

        def move(images: Any, targets: Any, weights: Any, random: Any, kept: Any, moves: Any) -> tuple[Any, ...]:
            images = tf.ensure_shape(images, (None, *self.images.shape[1:]))
            targets, weights = tf.ensure_shape(targets, (None, None)), tf.ensure_shape(weights, (None,))
            random, kept = tf.ensure_shape(random, (None, DRAWS)), tf.ensure_shape(kept, (None,))
            if self.augmentation:
                changed = augment(images, random, self.augmentation)
                images = changed if all_move else tf.where(moves[:, None, None, None], changed, images)
            return images, targets, weights, random, kept

        def finish(images: Any, targets: Any, weights: Any, random: Any, kept: Any) -> tuple[Any, Any, Any]:
            return mix(tf.cast(images, tf.float32), targets, weights, random, kept, self.mixing)

        # not stateful: with deterministic operations, TensorFlow would read one batch after the other
        types = (tf.as_dtype(self.images.dtype), *[tf.float32] * 4, tf.bool)
        in_order = tuple(array[order] for array in (chosen.indices, chosen.views, chosen.draw_ids))
        dataset = tf.data.Dataset.from_tensor_slices(in_order).batch(self._read_at_once())
        for work, calls in (
            (lambda *batch: tf.numpy_function(read, batch, types, stateful=False), READ_AHEAD),
            (move, 1),
        ):
            dataset = dataset.map(work, num_parallel_calls=calls * available_cores(), deterministic=True)
        dataset = dataset.rebatch(tf.constant(self.sizes, tf.int64)).map(finish).prefetch(PREFETCHED)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(self.steps))
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread delays the end of every other epoch by 10 seconds
        return dataset.with_options(options)

    @contextmanager
    def being_read(self) -> Iterator[None]:
        """Raise `failure` instead of TensorFlow's error if a batch cannot be read."""
        try:
            yield
        except tf.errors.OpError:
            if self.failure:
                raise self.failure from None
            raise

    def _read(self, indices: np.ndarray, views: np.ndarray, draw_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            images = self.images[indices]
        except CompressError as error:
            self.failure = error
            raise
        random = draws(self.seed, views, draw_ids)
        targets, weights = self.targets(indices, views), self.weights[indices]
        return images, targets, weights, random, lambdas(random, self.mixing), views > 0

    def _read_at_once(self) -> int:
        """Return how many images are read and augmented in one go: several batches, if they are small."""
        wanted = at_once(self.images.shape[1:], MAX_READ)
        return self.batch_size * max(1, wanted // self.batch_size)
