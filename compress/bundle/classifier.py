"""Classifying images with a bundle. Needs only onnxruntime, NumPy and Pillow, and starts in a fraction of a second."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compress.bundle.contents import MANIFEST, MODEL, read_json, read_labels, read_part
from compress.data.decoding import UnreadableImageError, check, decoded, open_image, read_file
from compress.data.preparation import FITS, prepare, prepared_shape
from compress.errors import BadInputError, first_line
from compress.onnx_tools.external import may_have_external_data
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import session_of
from compress.onnx_tools.signature import INPUT, LOGITS, OUTPUTS, PROBABILITIES

BATCH = 32  # images per run of the model
MAX_SIZE = 1024  # pixels of a side, as image.size has it

ImageLike = str | os.PathLike[str] | bytes | Image.Image | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """A model's answer for an image: the most probable label, and the `top` most probable ones with probabilities."""

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle.

    `labels` are the classes in the order of the outputs, `preparation` the settings of `preparation.prepare`,
    `input_shape` is (height, width, channels).
    """

    name: str
    labels: tuple[str, ...]
    preparation: dict[str, Any]
    input_shape: tuple[int, int, int]
    session: Any

    def pixels(self, image: ImageLike) -> np.ndarray:
        """Return an image as the model's input, `input_shape uint8`.

        `image` is a path, the bytes of an image file, a Pillow image, or pixels `(height, width)` or `(height, width,
        1, 3 or 4) uint8`. Pillow images pass the checks of files and are rotated as their EXIF orientation says.
        Raises `BadInputError` if `image` is not an image or cannot be decoded.
        """
        try:
            return prepare(_opened(image), **self.preparation)
        except UnreadableImageError as error:
            where = image if isinstance(image, str | os.PathLike) else "image"
            raise BadInputError(f"{where}: {error}") from error

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities, both `(batch, classes) float32`, for `(batch, *input_shape) uint8`.

        Raises `BadInputError` if the model fails to run, or gives probabilities that are not finite.
        """
        try:
            logits, probabilities = self.session.run(OUTPUTS, {INPUT: pixels})
        except Exception as error:  # onnxruntime has one type per status, and raises others too
            raise BadInputError(f"{self.name}: fails to run: {first_line(error)}") from error
        self._check_finite(probabilities)
        return logits, probabilities

    def predict(self, images: ImageLike | Sequence[ImageLike], top: int = 1) -> list[Prediction]:
        """Return a prediction with the `top` most probable labels for each image.

        Images are given as for `pixels`; a single one needs no list around it. Raises what `pixels` and `run` raise.
        """
        is_single = isinstance(images, str | os.PathLike | bytes | Image.Image | np.ndarray)
        sequence: Sequence[ImageLike] = [images] if is_single else images  # type: ignore[assignment,list-item]
        predictions: list[Prediction] = []
        for start in range(0, len(sequence), BATCH):
            batch = np.stack([self.pixels(image) for image in sequence[start : start + BATCH]])
            predictions += [self.prediction(row, top) for row in self.run(batch)[1]]
        return predictions

    def prediction(self, probabilities: np.ndarray, top: int = 1) -> Prediction:
        """Return the prediction for probabilities `(classes,)`; labels of equal probability keep their order.

        Raises `BadInputError` if a probability is not finite.
        """
        self._check_finite(probabilities)
        order = np.argsort(-probabilities, kind="stable")[:top]
        best = tuple((self.labels[i], float(probabilities[i])) for i in order)
        return Prediction(*best[0], best)

    def _check_finite(self, probabilities: np.ndarray) -> None:
        if not np.isfinite(probabilities).all():
            raise BadInputError(f"{self.name}: its probabilities are not finite; python -m compress verify checks it")


def load(bundle: str | os.PathLike[str], *, threads: int = 0, provider: str = CPU, spinning: bool = True) -> Classifier:
    """Return the classifier in a bundle's folder.

    `threads`, `provider` and `spinning` are those of `session_of`. Raises `BadInputError` if the folder is not a bundle
    or the model does not fit its manifest and labels. It compares no hashes; `verify` does.
    """
    folder = Path(bundle)
    manifest, labels = read_json(folder, MANIFEST), read_labels(folder)
    preparation = _checked_preparation(manifest.get("image"), folder / MANIFEST)
    shape = prepared_shape(preparation)
    session = untrusted_session(read_part(folder, MODEL), folder / MODEL, threads, provider, spinning)
    _check_signature(session, shape, len(labels), folder / MODEL)
    name = manifest.get("name")
    return Classifier(name if isinstance(name, str) else folder.name, labels, preparation, shape, session)


def untrusted_session(model: bytes, path: Path, threads: int = 0, provider: str = CPU, spinning: bool = True) -> Any:
    """Return a session for an untrusted model; raises `BadInputError` if it cannot be loaded.

    A model with external data is refused before ONNX Runtime sees it, which would look for that data in the current
    folder.
    """
    if may_have_external_data(model):
        from compress.onnx_tools.check import check_self_contained

        check_self_contained(model, str(path))
    try:
        return session_of(model, threads=threads, provider=provider, spinning=spinning)
    except Exception as error:  # onnxruntime has one type per status, and raises others too
        raise BadInputError(f"{path}: cannot be loaded: {first_line(error)}") from error


def _opened(image: ImageLike) -> Image.Image:
    if isinstance(image, Image.Image):
        check(image)
        return decoded(image)
    if isinstance(image, bytes):
        return open_image(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))):
            raise UnreadableImageError(
                f"is {image.dtype} of shape {image.shape}; should be uint8 of (height, width[, 1, 3 or 4])"
            )
        if not image.size:
            raise UnreadableImageError(f"has no pixels: its shape is {image.shape}")
        made = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
        check(made)
        return made
    return open_image(read_file(Path(image)))


def _checked_preparation(image: Any, where: Path) -> dict[str, Any]:
    """Return the settings of `prepare`, checked by hand: importing pydantic would take longer than the prediction."""
    is_valid = (
        isinstance(image, dict)
        and image.keys() == {"size", "fit", "channels", "background"}
        and _is_size(image["size"])
        and image["fit"] in FITS
        and image["channels"] in (1, 3)
        and isinstance(image["background"], list)
        and len(image["background"]) == 3
        and all(type(value) is int and 0 <= value <= 255 for value in image["background"])
    )
    if not is_valid:
        raise BadInputError(f"{where}: image = {image!r:.200}: should be size, fit, channels and background")
    return image


def _is_size(size: Any) -> bool:
    """Tell whether this is a side, as in all bundles before there were rectangles, or height and width."""
    sides = size if isinstance(size, list) and len(size) == 2 else [size]
    return all(type(side) is int and 1 <= side <= MAX_SIZE for side in sides)


def _check_signature(session: Any, shape: tuple[int, int, int], classes: int, path: Path) -> None:
    found = [
        (value.name, value.type, list(value.shape)[1:]) for value in (*session.get_inputs(), *session.get_outputs())
    ]
    expected = [(INPUT, "tensor(uint8)", list(shape))]
    expected += [(name, "tensor(float)", [classes]) for name in OUTPUTS]
    for actual, wanted in zip(found, expected, strict=False):
        if actual != wanted:
            raise BadInputError(
                f"{path}: has {' '.join(map(str, actual))}; should have {' '.join(map(str, wanted))}, in a batch"
            )
    if len(found) != len(expected):
        raise BadInputError(
            f"{path}: has {len(found)} inputs and outputs; should have {INPUT}, {LOGITS}, {PROBABILITIES}"
        )
