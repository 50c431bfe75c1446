"""What a training did, epoch by epoch: history.csv, and event files that TensorBoard reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from compress.artifacts import EpochResult
from compress.files import write_file
from compress.tensorflow import tf

FILE = "history.csv"


class Row(TypedDict):
    """An epoch, from 1: the rate at its end, the mean training loss, the results on validation, and the speed."""

    epoch: int
    learning_rate: float
    loss: float
    validation_accuracy: float
    validation_cross_entropy: float
    images_per_second: float


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Write all rows as history.csv, and the last one as TensorBoard scalars with the names of the columns."""
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.DictWriter(text, list(Row.__annotations__), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_file(folder / FILE, text.getvalue().encode())
    scalars = dict(rows[-1])
    step = scalars.pop("epoch")
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for name, value in scalars.items():
            tf.summary.scalar(name, value, step=step)
    writer.close()


def results(name: str, rows: Sequence[Row]) -> tuple[EpochResult, ...]:
    """Return the rows of the training `name` without their speed, which differs from run to run."""
    return tuple(
        EpochResult(
            training=name,
            epoch=row["epoch"],
            learning_rate=row["learning_rate"],
            loss=row["loss"],
            validation_accuracy=row["validation_accuracy"],
            validation_cross_entropy=row["validation_cross_entropy"],
        )
        for row in rows
    )
