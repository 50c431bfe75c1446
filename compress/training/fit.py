"""The fit loop: epochs of Keras's `Model.fit`, a checkpoint after each, early stopping, the best weights at the end.

An epoch's batches, and the random numbers of layers such as dropout, depend only on the seed and the epoch, and a
checkpoint holds weights and optimizer. So a run that was killed goes on from its last finished epoch and ends with the
same bytes as a run that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.artifacts import EpochResult
from compress.context import Context
from compress.data.balance import Metric
from compress.data.batches import Batches
from compress.data.images import Images
from compress.metrics.training import warnings
from compress.training import distribution, history, memory, precision
from compress.training.checkpoint import START
from compress.training.settings import Engine, TrainingSettings
from compress.training.trainer import DivergedError, Training

ONLY = "training"  # the name of the only training of a stage, or of the last one


@dataclass(frozen=True)
class Fitted:
    """How a training went: its epochs, what it was computed in, how many of them this process has trained, the most.

    `kept` is the epoch, from 1, whose weights it ends with; 0 if these are those that it began with.
    """

    name: str
    history: tuple[EpochResult, ...]
    precision: precision.Dtype
    epochs: int
    limit: int
    kept: int


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Batches,
    validation: tuple[Images, np.ndarray],
    settings: TrainingSettings,
    engine: Engine,
    context: Context,
    *,
    name: str = ONLY,
    callbacks: Sequence[Any] = (),
    may_stop_from: int = 0,
    metric: Metric = "accuracy",
) -> Fitted:
    """Train `model` in place, leave it with the weights of its best epoch, and return how it went.

    Parameters
    ----------
    model
        Keras model from images `(batch, height, width, channels)` to logits `(batch, classes)`; built, not compiled.
    loss
        Keras loss of (targets, logits).
    batches
        What each epoch trains on.
    validation
        Images `(n, height, width, channels)` and labels `(n,) int64`. The best epoch is the one with the
        highest `metric` on them, the lowest cross-entropy among equals.
    name
        Name of the checkpoint and the logs, for stages that train more than once.
    callbacks
        Keras callbacks for every epoch.
    may_stop_from
        The first epoch (from 0) whose weights may be the result, such as the first one with the final sparsity; `START`
        if those that the training begins with may be the result too, because they are trained already. Then a
        training that diverges ends, and raises no error.
    metric
        `accuracy`, or `recall`, the mean over the classes, where rare classes count as much as frequent ones.
    """
    shared = distribution.of(engine.strategy)
    with shared.noticing_lost_peers(), memory.named(context.stage):
        dtype = precision.of_training(engine.precision, context)
        training = Training(
            model, loss, batches, validation, settings, engine, context, shared, name, callbacks, may_stop_from, metric
        )
        try:
            _train(training)
        except DivergedError as error:
            if may_stop_from != START or shared.strategy:  # other processes would wait for this one
                raise
            context.note(str(error))
    model.set_weights(training.best_weights)
    state, results = training.state, history.results(name, training.state.rows)
    if shared.is_chief:
        context.note(f"{context.stage}: {'' if name == ONLY else f'{name}: '}{_outcome(training)}")
        for line in warnings(results):
            context.note(f"{context.stage}: {line}")
    return Fitted(name, results, dtype, state.epoch - training.begun, settings.epochs, state.best + 1)


def _train(training: Training) -> None:
    while training.goes_on:
        start = time.perf_counter()
        loss = training.epoch()
        if loss is not None:
            training.judge(loss, time.perf_counter() - start)
            training.save()
            training.report(time.perf_counter() - start)
            training.synchronize()


def _outcome(training: Training) -> str:
    """Return in words how good the weights are that are kept, and which these are."""
    state = training.state
    best = training.told(state.best_result[0])
    if state.best != START:
        return f"{best}, after epoch {state.best + 1} of {training.length.epochs}"
    scores = [row[f"validation_{training.metric}"] for row in state.rows]  # type: ignore[literal-required]
    others = f"{max(scores):.4f} after the best epoch" if scores else "no epoch ended"
    return f"{best} as it began, {others}: the weights that it began with are kept"
