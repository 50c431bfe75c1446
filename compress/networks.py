"""Networks as code and weights: built from teachers/ and students/, filled from an .npz of plain arrays.

No model file is ever loaded: Keras's own formats can carry code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from compress import plugins
from compress.arrays import load_arrays, save_arrays
from compress.artifacts import Network
from compress.errors import BadInputError, first_line

Family = Literal["teachers", "students"]


def build(family: Family, name: str, options: dict[str, Any], image_shape: tuple[int, int, int], classes: int) -> Any:
    """Return a fresh Keras model; raises `BadInputError` if the architecture does not accept such images."""
    try:
        return plugins.find(family, name).build(image_shape, classes, **options)
    except ValueError as error:
        reason = first_line(error)
        raise BadInputError(f"{family}/{name}.py: {reason}") from error


def save(model: Any, path: Path) -> None:
    """Write a model's weights, in Keras's order."""
    save_arrays(path, {f"{i:04d}": array for i, array in enumerate(model.get_weights())})


def load(network: Network) -> Any:
    """Rebuild a trained Keras model, with the widths that it has been cut to."""
    model = build(network.family, network.architecture, network.options, network.image_shape, network.classes)
    if network.widths:
        from compress.graphs.rebuilding import rebuilt

        model = rebuilt(model, network.widths)
    model.set_weights(list(load_arrays(network.weights).values()))
    return model
