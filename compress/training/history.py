"""What a training did, epoch by epoch: history.csv, and event files that TensorBoard reads."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.scalar.summary import scalar_pb

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
    validation_recall: float
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
    header = Event(wall_time=time.time(), file_version="brain.Event:2")
    event = Event(wall_time=time.time(), step=step)
    for name, value in scalars.items():
        event.summary.MergeFrom(scalar_pb(name, value))
    # TensorBoard reads the files of a folder in the order of their names. Those that TensorFlow chooses count 9, 10
    # within one second, so that short epochs would be shown, or left out, in another order
    with tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{step:06d}")) as file:
        file.write(header.SerializeToString())
        file.write(event.SerializeToString())


def results(name: str, rows: Sequence[Row]) -> tuple[EpochResult, ...]:
    """Return the rows of the training `name` without their speed, which differs from run to run."""
    return tuple(
        EpochResult(
            training=name,
            epoch=row["epoch"],
            learning_rate=row["learning_rate"],
            loss=row["loss"],
            validation_accuracy=row["validation_accuracy"],
            validation_recall=row["validation_recall"],
            validation_cross_entropy=row["validation_cross_entropy"],
        )
        for row in rows
    )
