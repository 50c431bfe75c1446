"""Stratified splits."""

from __future__ import annotations

import numpy as np

from compress.artifacts import Split


def stratified(labels: np.ndarray, validation: float, test: float, seed: int) -> dict[Split, np.ndarray]:
    """Return the indices of each split, every class in the same proportion; together they are all images, once.

    `labels` is `(n,) int64`; `validation` and `test` are fractions of n.
    """
    from sklearn.model_selection import train_test_split

    rest, test_indices = train_test_split(np.arange(len(labels)), test_size=test, random_state=seed, stratify=labels)
    train_indices, validation_indices = train_test_split(
        rest, test_size=validation / (1 - test), random_state=seed, stratify=labels[rest]
    )
    return {"train": train_indices, "validation": validation_indices, "test": test_indices}
