"""A Keras graph built anew with other widths. What loads networks needs this, and not what chooses channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress.errors import BadInputError
from compress.tensorflow import keras


def rebuilt(model: Any, widths: Mapping[str, int]) -> Any:
    """Return the same functional graph, with fresh weights, whose layers have as many channels as `widths` say.

    Layers that are not named keep theirs, and layers that several places share stay shared. What follows of a layer's
    width, such as the shapes of batch normalization, follows by itself.
    """

    def clone(layer: Any) -> Any:
        try:
            config = layer.get_config()
        except NotImplementedError as error:
            raise BadInputError(
                f"{layer.name}: {type(layer).__name__} has no get_config, without which it is not built anew; "
                "method should be magnitude"
            ) from error
        if layer.name in widths:
            config["units" if "units" in config else "filters"] = widths[layer.name]
        if isinstance(layer, keras.layers.Reshape):  # what is removed is always part of the last axis
            shape = config["target_shape"]
            config["target_shape"] = (*(layer.output_shape[1:-1] if -1 in shape[:-1] else shape[:-1]), -1)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)
