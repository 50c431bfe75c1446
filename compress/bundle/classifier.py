"""A bundle that classifies images: needs onnxruntime, numpy and Pillow, and starts in a fraction of a second."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compress.bundle.contents import MANIFEST, MODEL, read_json, read_labels, read_part
from compress.data.preparation import FITS, UnreadableImageError, open_image, prepare, read_file
from compress.errors import BadInputError, first_line
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import session_of
from compress.onnx_tools.signature import INPUT, LOGITS, OUTPUTS, PROBABILITIES

BATCH = 32  # images at a time
MAX_SIZE = 1024  # pixels of a side, as image.size has it

ImageLike = str | os.PathLike[str] | bytes | Image.Image | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """What a model says of an image: the most probable label, and the `top` ones, each with its probability."""

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Classifier:
    """A bundle, loaded.

    `labels` are the classes in the order of the outputs, `preparation` the settings of `preparation.prepare`,
    `input_shape` is (height, width, channels).
    """

    name: str
    labels: tuple[str, ...]
    preparation: dict[str, Any]
    input_shape: tuple[int, int, int]
    session: Any

    def pixels(self, image: ImageLike) -> np.ndarray:
        """Return what the network sees of an image, `input_shape uint8`.

        `image` is a path, the bytes of an image file, a Pillow image, or pixels `(height, width)` or `(height, width,
        1, 3 or 4) uint8`. Raises `BadInputError` for what is none or cannot be decoded.
        """
        try:
            return prepare(_opened(image), **self.preparation)
        except UnreadableImageError as error:
            where = image if isinstance(image, str | os.PathLike) else "image"
            raise BadInputError(f"{where}: {error}") from error

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities, both `(batch, classes) float32`, of `(batch, *input_shape) uint8`.

        Raises `BadInputError` where the model fails.
        """
        try:
            logits, probabilities = self.session.run(OUTPUTS, {INPUT: pixels})
        except Exception as error:  # onnxruntime has a class for every status, and raises others too
            raise BadInputError(f"{self.name}: fails to run: {first_line(error)}") from error
        return logits, probabilities

    def predict(self, images: ImageLike | Sequence[ImageLike], top: int = 1) -> list[Prediction]:
        """Return a prediction for each image, as `pixels` takes them, with the `top` most probable labels.

        One image may be given without a list around it. Raises as `pixels`.
        """
        one = isinstance(images, str | os.PathLike | bytes | Image.Image | np.ndarray)
        listed: Sequence[ImageLike] = [images] if one else images  # type: ignore[assignment,list-item]
        predictions: list[Prediction] = []
        for start in range(0, len(listed), BATCH):
            batch = np.stack([self.pixels(image) for image in listed[start : start + BATCH]])
            predictions += [self.prediction(row, top) for row in self.run(batch)[1]]
        return predictions

    def prediction(self, probabilities: np.ndarray, top: int = 1) -> Prediction:
        """Return what probabilities `(classes,)` say, the most probable first, equal ones in the labels' order."""
        order = np.argsort(-probabilities, kind="stable")[:top]
        named = tuple((self.labels[i], float(probabilities[i])) for i in order)
        return Prediction(*named[0], named)


def load(bundle: str | os.PathLike[str], *, threads: int = 0, provider: str = CPU, spinning: bool = True) -> Classifier:
    """Return the classifier of a bundle's folder.

    `threads`, `provider` and `spinning` are those of `session_of`. Raises `BadInputError` for a folder that is
    no bundle, and for a model that does not fit its manifest and labels. Hashes are not compared: `verify` does that.
    """
    folder = Path(bundle)
    manifest, labels = read_json(folder, MANIFEST), read_labels(folder)
    preparation = _checked_preparation(manifest.get("image"), folder / MANIFEST)
    size, channels = preparation["size"], preparation["channels"]
    session = open_model(read_part(folder, MODEL), folder / MODEL, threads, provider, spinning)
    _check_signature(session, (size, size, channels), len(labels), folder / MODEL)
    name = manifest.get("name")
    return Classifier(
        name if isinstance(name, str) else folder.name, labels, preparation, (size, size, channels), session
    )


def open_model(model: bytes, path: Path, threads: int = 0, provider: str = CPU, spinning: bool = True) -> Any:
    """Return a session of a model that may come from anywhere; raises `BadInputError` where there can be none.

    ONNX Runtime loads no external data where it is given bytes; a model that asks for it is refused before it is asked.
    """
    if b"location" in model:  # the key of external data, if it is not part of a name or a weight
        from compress.onnx_tools.check import check_self_contained

        check_self_contained(model, str(path))
    try:
        return session_of(model, threads=threads, provider=provider, spinning=spinning)
    except Exception as error:  # onnxruntime has a class for every status, and raises others too
        raise BadInputError(f"{path}: cannot be loaded: {first_line(error)}") from error


def _opened(image: ImageLike) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, bytes):
        return open_image(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))):
            raise UnreadableImageError(
                f"is {image.dtype} of shape {image.shape}; should be uint8 of (height, width[, 1, 3 or 4])"
            )
        return Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    return open_image(read_file(Path(image)))


def _checked_preparation(image: Any, where: Path) -> dict[str, Any]:
    """Return the settings of `prepare`; by hand, since a library that checks would take longer than the prediction."""
    right = (
        isinstance(image, dict)
        and image.keys() == {"size", "fit", "channels", "background"}
        and type(image["size"]) is int
        and 1 <= image["size"] <= MAX_SIZE
        and image["fit"] in FITS
        and image["channels"] in (1, 3)
        and isinstance(image["background"], list)
        and len(image["background"]) == 3
        and all(type(value) is int and 0 <= value <= 255 for value in image["background"])
    )
    if not right:
        raise BadInputError(f"{where}: image = {image!r:.200}: should be size, fit, channels and background")
    return image


def _check_signature(session: Any, shape: tuple[int, int, int], classes: int, path: Path) -> None:
    found = [
        (value.name, value.type, list(value.shape)[1:]) for value in (*session.get_inputs(), *session.get_outputs())
    ]
    expected = [(INPUT, "tensor(uint8)", list(shape))]
    expected += [(name, "tensor(float)", [classes]) for name in OUTPUTS]
    for got, right in zip(found, expected, strict=False):
        if got != right:
            raise BadInputError(
                f"{path}: has {' '.join(map(str, got))}; should have {' '.join(map(str, right))}, a batch of it"
            )
    if len(found) != len(expected):
        raise BadInputError(
            f"{path}: has {len(found)} inputs and outputs; should have {INPUT}, {LOGITS}, {PROBABILITIES}"
        )
