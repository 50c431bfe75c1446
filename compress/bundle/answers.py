"""answers.npz: what each model said of each test image, so that bundles can be compared image by image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress.arrays import read_members, save_arrays
from compress.bundle.contents import ANSWERS, read_part
from compress.errors import BadInputError
from compress.report.schema import Report


def write_answers(path: Path, labels: np.ndarray, probabilities: Sequence[np.ndarray]) -> None:
    """Write the indices of true classes, `labels (n,)`, and of those that each model named, `answers (models, n)`.

    `probabilities` are those of each model, `(n, classes)`, in the order of report.json.
    """
    smallest = np.min_scalar_type(probabilities[0].shape[1] - 1)
    answers = np.stack([each.argmax(axis=1) for each in probabilities])
    save_arrays(path, {"labels": labels.astype(smallest), "answers": answers.astype(smallest)})


def read_answers(folder: Path, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the answers of a bundle, whose report this is.

    Raises `BadInputError` if the file does not hold them, or is not that of the report.
    """
    data = read_part(folder, ANSWERS)
    arrays = read_members(io.BytesIO(data), len(data), ("labels", "answers"), str(folder / ANSWERS))
    labels, answers = arrays["labels"], arrays["answers"]
    is_valid = (
        all(each.dtype.kind == "u" and each.max(initial=0) < len(report.run.classes) for each in arrays.values())
        and labels.shape == (report.run.n_test,)
        and answers.shape == (len(report.models), report.run.n_test)
    )
    if not is_valid:
        raise BadInputError(f"{folder / ANSWERS}: should hold a class for each test image, and one from each model")
    return labels.astype(np.int64), answers.astype(np.int64)
