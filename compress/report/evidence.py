"""What the page shows besides report.json: every latency, and images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import Image

from compress.artifacts import Latencies
from compress.data.images import Images

EXAMPLES = 24  # test images of each kind
CLASSES, PER_CLASS = 20, 4  # of which training images are shown, and how many of each
SMALL, LARGEST = 64, 112  # pixels: sides up to which an image is stored as it is, and to which larger ones are reduced
QUALITY = 80  # of larger ones, as WebP


@dataclass(frozen=True)
class Picture:
    """An encoded image."""

    kind: Literal["png", "webp"]
    content: bytes

    @property
    def base64(self) -> str:
        """The image as a page holds it."""
        return base64.b64encode(self.content).decode()


@dataclass(frozen=True)
class Example:
    """A test image with its true class and two answers."""

    picture: Picture
    true: str
    teacher: str
    deployed: str


@dataclass(frozen=True)
class Evidence:
    """All latencies, and images: some of each class, by its name, and test images that models told differently.

    Of these, `lost` are those that the teacher alone told rightly, `gained` those that the deployed model alone did.
    `no_images` is why there are none, if the bundle may hold none.
    """

    latencies: tuple[Latencies, ...]
    samples: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    lost: tuple[Example, ...] = ()
    gained: tuple[Example, ...] = ()
    no_images: str = ""


def samples(images: Images, labels: np.ndarray, classes: Sequence[str]) -> dict[str, tuple[Picture, ...]]:
    """Return the first images of each of the first classes; `labels` is `(n,) int64`."""
    return {
        name: tuple(picture(images, int(i)) for i in np.flatnonzero(labels == label)[:PER_CLASS])
        for label, name in enumerate(classes[:CLASSES])
    }


def examples(
    images: Images,
    labels: np.ndarray,
    deployed: np.ndarray,
    teacher: np.ndarray,
    classes: Sequence[str],
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return images that only the teacher told rightly, and those that only the deployed model did.

    `labels` is `(n,) int64`; the models' probabilities are `(n, classes) float32`. Those come first of which the model
    that is wrong was surest.
    """
    answers, others = deployed.argmax(axis=1), teacher.argmax(axis=1)

    def chosen(wrong: np.ndarray, right: np.ndarray, sure: np.ndarray) -> tuple[Example, ...]:
        found = np.flatnonzero((wrong != labels) & (right == labels))
        found = found[np.argsort(-sure[found].max(axis=1), kind="stable")][:EXAMPLES]
        return tuple(
            Example(picture(images, int(i)), *(classes[each[i]] for each in (labels, others, answers))) for i in found
        )

    return chosen(answers, others, deployed), chosen(others, answers, teacher)


def picture(images: Images, index: int) -> Picture:
    """Return an image, reduced if it is large."""
    pixels: Any = images[np.array([index])][0]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    file = io.BytesIO()
    if max(image.size) <= SMALL:
        image.save(file, "PNG", optimize=True)
        return Picture("png", file.getvalue())
    image.thumbnail((LARGEST, LARGEST))
    image.save(file, "WEBP", quality=QUALITY)
    return Picture("webp", file.getvalue())
