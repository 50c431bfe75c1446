"""Keras's optimizers by their names in the settings."""

from __future__ import annotations

from typing import Any

from compress.tensorflow import keras, tf
from compress.training.settings import OptimizerName, TrainingSettings

NOT_DECAYED = ["gamma", "beta", "bias"]
UNNORMALIZED = 1.0  # published weights of VGG16 diverge at the default rate without clipping, and learn with this
WITH_MOMENTUM = ("momentum", "nesterov", "rmsprop")
CLASSES: dict[OptimizerName, Any] = {
    "sgd": keras.optimizers.SGD,  # Robbins and Monro, 1951
    "momentum": keras.optimizers.SGD,  # Polyak, 1964
    "nesterov": keras.optimizers.SGD,  # Nesterov, 1983
    "adam": keras.optimizers.Adam,  # Kingma and Ba, 2015
    "adamw": keras.optimizers.AdamW,  # Loshchilov and Hutter, 2019
    "rmsprop": keras.optimizers.RMSprop,  # Tieleman and Hinton, 2012
    "adagrad": keras.optimizers.Adagrad,  # Duchi, Hazan and Singer, 2011
}


def build(settings: TrainingSettings, rate: Any, model: Any) -> Any:
    """Return the Keras optimizer that the settings name, with its decay, clipping and moving average of weights.

    `model` is what it is to train. Clipping is that of Pascanu et al., "On the difficulty of training recurrent neural
    networks" (2013).
    """
    name = settings.optimizer
    options: dict[str, Any] = {"learning_rate": rate, "jit_compile": False}
    if name in WITH_MOMENTUM:
        options["momentum"] = settings.momentum
    if name == "nesterov":
        options["nesterov"] = True
    if settings.weight_decay and name != "adam":
        options["weight_decay"] = settings.weight_decay
    elif name == "adamw":
        options["weight_decay"] = 0.0
    clip_norm = _clip_norm(settings, model)
    if clip_norm:
        options["global_clipnorm"] = clip_norm
    if settings.ema:
        options |= {"use_ema": True, "ema_momentum": settings.ema, "ema_overwrite_frequency": None}
    optimizer = (_averaging(CLASSES[name]) if settings.ema else CLASSES[name])(**options)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def _clip_norm(settings: TrainingSettings, model: Any) -> float:
    """Return the largest norm of all gradients together, 0 for any: `auto` depends on the layers that are trained."""
    if settings.clip_norm != "auto":
        return settings.clip_norm
    layers = [getattr(layer, "layer", layer) for layer in model.layers if layer.trainable]  # without masks
    convolves = any(isinstance(layer, keras.layers.Conv2D) for layer in layers)
    is_normalized = any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)
    return UNNORMALIZED if convolves and not is_normalized else 0.0


def _averaging(kind: Any) -> Any:
    """Return an optimizer class whose moving average is warmed up: it forgets the initial weights in a few steps.

    After t steps its momentum is the smaller one of the setting and (1 + t) / (10 + t), as in TensorFlow's
    ExponentialMovingAverage; Keras's is constant, so that a short training would give the weights that it began with.
    """

    class Averaging(kind):
        @property
        def ema_momentum(self) -> Any:
            steps = tf.cast(self.iterations, tf.float32)
            return tf.minimum(self._highest_momentum, (1.0 + steps) / (10.0 + steps))

        @ema_momentum.setter
        def ema_momentum(self, momentum: float) -> None:
            self._highest_momentum = momentum

    return Averaging
