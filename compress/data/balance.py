"""Rare classes: given more weight, repeated, or enlarged with synthetic images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from compress.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np

    from compress.data.images import Images

NEIGHBOURS = 5  # the paper's
SMOTE_BYTES = 12  # per pixel: floats before and after, and imbalanced-learn's own copies
Method = Literal["none", "class_weights", "oversample", "undersample", "smote"]
Metric = Literal["accuracy", "recall"]


class Balance(BaseModel):
    """How all trainings treat classes that have far fewer images than others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = Field(
        "none",
        description="class_weights: images of rare classes count more; oversample: they are repeated; undersample: "
        "images of frequent classes take turns; smote: new images are made between neighbours. With any of these, mean "
        "recall in place of accuracy chooses epochs and models, and the teacher is trained twice, to show the "
        "difference.",
    )

    @property
    def metric(self) -> Metric:
        """What the best epoch and the model to deploy are chosen by: with classes balanced, their mean recall."""
        return "accuracy" if self.method == "none" else "recall"

    @field_validator("method")
    @classmethod
    def _smote_is_installed(cls, method: Method) -> Method:
        import importlib.util

        if method == "smote" and not importlib.util.find_spec("imblearn"):
            raise ValueError("smote needs imbalanced-learn: pip install 'compress[balance]'")
        return method


def with_synthetic(images: Images, labels: np.ndarray, method: Method, seed: int) -> tuple[Images, np.ndarray]:
    """Return the training images and labels `(n,) int64`; smote adds new images until all classes are equal.

    SMOTE (Chawla et al., 2002) draws a new image on the line between an image and a near neighbour of its class, pixel
    by pixel. Raises `BadInputError` if the images do not fit into memory.
    """
    if method != "smote":
        return images, labels
    import math

    import numpy as np
    import psutil
    from imblearn.over_sampling import SMOTE

    counts = np.bincount(labels)
    total = int(counts.max()) * len(counts)
    if total == len(labels):
        return images, labels
    needed = SMOTE_BYTES * total * math.prod(images.shape[1:])
    available = psutil.virtual_memory().available
    if needed > available:
        raise BadInputError(
            f"balance.method = 'smote': needs {needed / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are free; "
            "should be oversample"
        )
    flat = np.asarray(images[:]).reshape(len(images), -1)
    # the only image of a class has no neighbour: it is repeated, and stands between its own copies
    copies = np.where(counts[labels] == 1, min(NEIGHBOURS + 1, counts.max()), 1)
    extra = np.repeat(np.arange(len(labels)), copies - 1)
    flat, labels = np.concatenate([flat, flat[extra]]), np.concatenate([labels, labels[extra]])
    sampler = SMOTE(k_neighbors=min(NEIGHBOURS, int(np.bincount(labels).min()) - 1), random_state=seed)
    more, more_labels = sampler.fit_resample(flat.astype(np.float32), labels)
    return np.rint(more).astype(np.uint8).reshape(-1, *images.shape[1:]), more_labels


def image_weights(labels: np.ndarray, method: Method) -> np.ndarray:
    """Return each image's weight in the loss, `(n,) float32`, with mean 1.

    With class_weights, all classes weigh the same: each of a class's c images has the weight n / (k c), for n images in
    k classes (King and Zeng, "Logistic Regression in Rare Events Data", 2001). With other methods all weights are 1.
    """
    import numpy as np

    if method != "class_weights":
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


def epoch_size(counts: Sequence[int], method: Method) -> int:
    """Return how many images an epoch has, given how many each class has."""
    each = {"oversample": max, "smote": max, "undersample": min}.get(method)
    return int(each(counts) * len(counts) if each else sum(counts))


def epoch_indices(labels: np.ndarray, method: Method, seed: int, epoch: int) -> np.ndarray:
    """Return the indices `(m,) int64` of the images that an epoch trains on; m is the same for all epochs.

    With oversample, each class is as frequent as the largest: all its images are repeated equally often, and a random
    rest once more. With undersample, each class is as frequent as the smallest, with different images in each epoch.
    """
    import numpy as np

    if method not in ("oversample", "undersample"):
        return np.arange(len(labels))
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    wanted = epoch_size(counts.tolist(), method) // len(counts)
    random = np.random.default_rng([seed, epoch])
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rounds, rest = divmod(wanted, len(members))
        chosen += [members] * rounds + [random.permutation(members)[:rest]]
    return np.concatenate(chosen)
