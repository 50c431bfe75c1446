"""Training a network on labels and the logits of another, its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.balance import Balance, epoch_indices, image_weights, with_synthetic
from compress.data.batches import Batches, Epoch
from compress.data.images import images_of
from compress.distillation.settings import FollowingSettings
from compress.distillation.targets import Source, logits_of_views
from compress.training.fit import ONLY, Fitted, fit
from compress.training.settings import Engine, TrainingSettings
from compress.training.supervised import smoothed_one_hot


class Following:
    """The training images with a source's logits, from which any number of networks can be trained.

    An epoch is a pass over all views of each image; if `passes` are given, over one view, the next in each epoch, and
    that many epochs are the most there will be.
    """

    def __init__(
        self,
        source: Source,
        settings: FollowingSettings,
        balance: Balance,
        data: Dataset,
        context: Context,
        *,
        passes: int | None = None,
    ) -> None:
        self.settings, self.balance, self.data, self.context = settings, balance, data, context
        self.classes = len(data.classes)
        images, labels = with_synthetic(images_of(data, "train"), data.labels("train"), balance.method, context.seed)
        count = settings.views if passes is None else min(settings.views, passes)
        logits = np.stack(logits_of_views(source, images, count, settings.augmentation, context))
        seed = context.seed

        def targets(indices: np.ndarray, views: np.ndarray) -> np.ndarray:
            # Keras hands a loss one tensor of targets: labels and logits side by side
            hard = smoothed_one_hot(labels[indices], self.classes, settings.label_smoothing)
            return np.concatenate([hard, logits[views, indices]], axis=1)

        def choose(epoch: int) -> Epoch:
            chosen = epoch_indices(labels, balance.method, seed, epoch)
            seen = np.arange(count) if passes is None else np.array([epoch % count])
            indices = np.tile(chosen, len(seen))
            return Epoch(indices, np.repeat(seen, len(chosen)), draw_ids=indices)

        self.batches = Batches(
            images,
            targets,
            choose,
            settings.batch_size,
            seed,
            settings.augmentation,
            weights=image_weights(labels, balance.method),
        )

    def fit(
        self,
        model: Any,
        engine: Engine,
        *,
        settings: TrainingSettings | None = None,
        part: tuple[float, float] = (0.0, 1.0),
        after: int = 0,
        name: str = ONLY,
        callbacks: Sequence[Any] = (),
        may_stop_from: int = 0,
    ) -> Fitted:
        """Train a Keras model in place, stopped by the validation split; arguments and result as `fit`'s.

        `settings` take the place of those of the following, `part` is that of the stage's progress. The epochs `after`
        which it begins are those of trainings before it, with whose images it goes on.
        """
        loss, classes = self.settings.loss.function, self.classes
        return fit(
            model,
            lambda y, logits: loss(logits, y[:, classes:], y[:, :classes]),
            self.batches.beginning_after(after),
            (images_of(self.data, "validation"), self.data.labels("validation")),
            settings or self.settings,
            engine,
            self.context.part(*part),
            name=name,
            callbacks=callbacks,
            may_stop_from=may_stop_from,
            metric=self.balance.metric,
        )
