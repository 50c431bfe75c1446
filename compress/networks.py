"""Networks as code and weights: built from teachers/ and students/, filled from an .npz of plain arrays.

No model file is ever loaded: Keras's own formats can carry code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from compress import plugins
from compress.artifacts import Dataset, Network
from compress.errors import BadInputError
from compress.training.checkpoint import load_arrays, save_arrays

Family = Literal["teachers", "students"]


def build(family: Family, name: str, options: dict[str, Any], data: Dataset) -> Any:
    """Return a fresh Keras model for the data; raises `BadInputError` where the architecture cannot take its images."""
    try:
        return plugins.find(family, name).build(data.image_shape, len(data.classes), **options)
    except ValueError as error:
        raise BadInputError(f"{family}/{name}.py: {error}") from error


def save(model: Any, path: Path) -> None:
    """Write a model's weights, in Keras's order."""
    save_arrays(path, {f"{i:04d}": array for i, array in enumerate(model.get_weights())})


def load(network: Network) -> Any:
    """Rebuild a trained Keras model."""
    build_model = plugins.find(network.family, network.architecture).build
    model = build_model(network.image_shape, network.classes, **network.options)
    model.set_weights(list(load_arrays(network.weights).values()))
    return model
