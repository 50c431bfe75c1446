"""Keras's optimizers by their names in the settings."""

from __future__ import annotations

from typing import Any

from compress.tensorflow import keras
from compress.training.settings import OptimizerName, TrainingSettings

NOT_DECAYED = ["gamma", "beta", "bias"]
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


def build(settings: TrainingSettings, rate: Any) -> Any:
    """Return the Keras optimizer that the settings name, with its decay, clipping and moving average of weights."""
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
    if settings.clip_norm:
        options["global_clipnorm"] = settings.clip_norm
    if settings.ema:
        options |= {"use_ema": True, "ema_momentum": settings.ema, "ema_overwrite_frequency": None}
    optimizer = CLASSES[name](**options)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer
