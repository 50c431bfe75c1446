from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from compress.tensorflow import tf
from compress.training.history import Row, write


def test_tensorboard_reads_epochs_that_took_less_than_a_second_in_their_order(tmp_path: Path) -> None:
    rows = [Row(epoch=n, learning_rate=0.1, loss=1 / n, validation_accuracy=0.5, validation_recall=0.5,
                validation_cross_entropy=1.0, images_per_second=float(n)) for n in range(1, 121)]  # fmt: skip
    for n in range(1, len(rows) + 1):
        write(tmp_path, rows[:n])
    write(tmp_path, rows)  # as a training does that was interrupted before its checkpoint

    events = EventAccumulator(str(tmp_path), {"tensors": 0})
    events.Reload()

    found = [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors("images_per_second")]
    assert found == [(n, n) for n in range(1, 121)]
