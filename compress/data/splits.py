"""Stratified splits."""

from __future__ import annotations

import numpy as np

from compress.artifacts import Split
from compress.errors import BadInputError


def stratified(labels: np.ndarray, validation: float, test: float, seed: int) -> dict[Split, np.ndarray]:
    """Return the indices of each split, every class in the same proportion; together they are all images, once.

    `labels` is `(n,) int64`; `validation` and `test` are fractions of n. Raises `BadInputError` where a class has too
    few images to be in every split.
    """
    from sklearn.model_selection import train_test_split

    try:
        rest, test_indices = train_test_split(
            np.arange(len(labels)), test_size=test, random_state=seed, stratify=labels
        )
        train_indices, validation_indices = train_test_split(
            rest, test_size=validation / (1 - test), random_state=seed, stratify=labels[rest]
        )
    except ValueError as error:
        wanted = f"data.validation = {validation} and data.test = {test}"
        raise BadInputError(f"{len(labels)} images cannot be split by {wanted}: {error}") from error
    return {"train": train_indices, "validation": validation_indices, "test": test_indices}
