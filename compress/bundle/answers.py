"""answers.npz: what each model said of each test image, so that bundles can be compared image by image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress.arrays import array_header, npz_errors, open_npz, read_members, save_arrays
from compress.bundle.contents import ANSWERS, read_part
from compress.errors import BadInputError
from compress.report.file import FILE
from compress.report.schema import Report


def write_answers(path: Path, labels: np.ndarray, probabilities: Sequence[np.ndarray]) -> None:
    """Write the indices of true classes, `labels (n,)`, and of those that each model named, `answers (models, n)`.

    `probabilities` are those of each model, `(n, classes)`, in the order of report.json.
    """
    smallest = np.min_scalar_type(probabilities[0].shape[1] - 1)
    answers = np.stack([each.argmax(axis=1) for each in probabilities])
    save_arrays(path, {"labels": labels.astype(smallest), "answers": answers.astype(smallest)})


def read_answers(folder: Path, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """Return a bundle's labels, `(n,) int64`, and answers, `(models, n)` unsigned; `report` is its report.

    Raises `BadInputError` if the file does not hold them, or is not that of the report.
    """
    data, path = read_part(folder, ANSWERS), folder / ANSWERS
    n, models = report.run.n_test, len(report.models)
    shapes = {"labels": (n,), "answers": (models, n)}
    with open_npz(io.BytesIO(data), str(path)) as archive, npz_errors(str(path)):
        for name, shape in shapes.items():
            found, kind = array_header(archive, name, len(data), f"{path}: {name}")
            if found != shape or kind.kind != "u" or archive.getinfo(f"{name}.npy").file_size > len(data):
                raise BadInputError(
                    f"{path}: {name} should have the shape {shape}, of unsigned numbers, not compressed"
                )
    arrays = read_members(io.BytesIO(data), len(data), list(shapes), str(path))
    if any(each.max(initial=0) >= len(report.run.classes) for each in arrays.values()):
        raise BadInputError(f"{path}: names a class beyond the {len(report.run.classes):,} of {FILE}")
    return arrays["labels"].astype(np.int64), arrays["answers"]
