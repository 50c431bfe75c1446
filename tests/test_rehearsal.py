from __future__ import annotations

from typing import Any

import pytest

from compress import networks, rehearsal
from compress.config import load
from compress.errors import MachineError
from compress.metrics.cost import cost_of_keras
from compress.rehearsal import Rehearsal
from compress.tensorflow import tf
from compress.training import precision, step_time
from compress.training.trained_model import TrainedModel

CONFIG: Any = load(assignments=["distill.batch_size=24", "distill.student.options={width=2, blocks=1}"])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_time, "MIN_SECONDS", 0.0)


def rehearsed(precisions: Any = ("float32",)) -> Rehearsal:
    return Rehearsal(CONFIG.distill.network, (16, 16, 1), CONFIG.distill, precisions)


def test_a_training_is_timed_in_each_precision_and_its_network_counted() -> None:
    cost = rehearsal._measured(rehearsed(precision.available()))

    assert list(cost.seconds) == list(precision.available())
    assert all(0 < seconds < 10 for seconds in cost.seconds.values())
    student = networks.build("students", "plain", {"width": 2, "blocks": 1}, (16, 16, 1), rehearsal.CLASSES)
    assert (cost.params, cost.macs) == cost_of_keras(student)


def out_of_memory_above(size: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let trainings run out of memory on more images at once; return the numbers that are tried."""
    tried: list[int] = []
    real = TrainedModel.fit

    def fit(self: Any, batches: Any, **options: Any) -> Any:
        images, *_ = next(iter(batches))
        tried.append(len(images))
        if len(images) > size:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return real(self, batches, **options)

    monkeypatch.setattr(TrainedModel, "fit", fit)
    return tried


def test_as_many_images_as_fit_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = out_of_memory_above(6, monkeypatch)

    assert rehearsal._measured(rehearsed()).seconds["float32"] > 0
    assert tried == [24, 12, 6]


def test_memory_for_no_image_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory_above(0, monkeypatch)

    with pytest.raises(MachineError, match=r"^timing a step of plain: out of memory .*; image\.size or the network"):
        rehearsal._measured(rehearsed())
