"""An epoch of parameter_server, in the chief: it reads the batches and hands each out once, to whoever is free first.

TensorFlow's own way, a data set for each worker, traces that data set once and tells every worker that it is the first
of one, so that all of them train on the same images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from compress.tensorflow import keras, tf
from compress.training.peers import watched

AHEAD = 2  # batches a worker has been handed before it has finished the one in work


def fit_epoch(
    trained: Any,
    batches: Any,
    steps: int,
    epoch: int,
    callbacks: Sequence[Any],
    workers: int,
    check: Callable[[], None],
) -> float:
    """Train a compiled model on a dataset of (images, targets, weights); return the mean loss.

    Callbacks hear of a step once it is done. One with `is_due(step)`, where `step` counts from 1 over all epochs, has
    such a step taken while no other is, after a call of its `begin_alone(step)`. `check` is called while nothing
    happens, and may raise.
    """
    coordinator = tf.distribute.coordinator.ClusterCoordinator(trained.distribute_strategy)
    if trained.train_function is None:  # Keras's own name for it, which it resets where a step has to be traced anew
        trained.train_function = tf.function(
            lambda *batch: trained.distribute_strategy.run(trained.train_step, args=(batch,)), reduce_retracing=True
        )
    heard = keras.callbacks.CallbackList(list(callbacks), model=trained, epochs=epoch + 1, steps=steps)
    in_flight: deque[tuple[int, Any]] = deque()

    def leave(at_most: int) -> None:
        while len(in_flight) > at_most:
            number, result = in_flight.popleft()
            logs = watched(result.fetch, check)
            heard.on_train_batch_end(number, {name: float(value) for name, value in logs.items()})

    trained.reset_metrics()
    heard.on_train_begin()
    heard.on_epoch_begin(epoch)
    for number, batch in enumerate(batches):
        step = epoch * steps + number + 1
        alone = [callback for callback in callbacks if hasattr(callback, "is_due") and callback.is_due(step)]
        if alone:
            leave(at_most=0)
        for callback in alone:
            callback.begin_alone(step)
        heard.on_train_batch_begin(number)
        in_flight.append((number, coordinator.schedule(trained.train_function, args=batch)))
        leave(at_most=0 if alone else AHEAD * workers)
    leave(at_most=0)
    logs = {name: float(value) for name, value in trained.get_metrics_result().items()}
    heard.on_epoch_end(epoch, logs)
    heard.on_train_end()
    return logs["loss"]
