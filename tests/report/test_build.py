from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from compress.artifacts import EpochResult, Network, Timings
from compress.context import Context, Decision, Settings
from compress.report import build
from compress.report.build import build_report, trainings_of
from compress.report.file import read, to_text
from tests.report.examples import report


def epoch(training: str, number: int, learning_rate: float, loss: float) -> EpochResult:
    return EpochResult(training, number, learning_rate, loss, 0.5, validation_recall=0.4, validation_cross_entropy=1.0)


def network(name: str, history: tuple[EpochResult, ...], precision: dict[str, str]) -> Network:
    return Network(name, name, "students", "plain", {}, (8, 8, 1), 2, Path(), history, precision)


def test_each_training_of_a_network_is_told_with_its_precision_epochs_and_warnings() -> None:
    rising = tuple(epoch("all", i, 0.1 / i, float(i)) for i in (1, 2, 3))
    teacher = network("teacher", (epoch("top", 1, 0.1, 2.0), *rising), {"top": "bfloat16", "all": "float32"})
    teacher = dataclasses.replace(teacher, limits={"top": 1, "all": 8})

    trainings = trainings_of([teacher, network("student", (), {})])

    assert list(trainings) == ["teacher", "student"]
    assert trainings["student"] == ()
    top, all_layers = trainings["teacher"]
    assert (top.name, top.precision, len(top.history), top.warnings) == ("top", "bfloat16", 1, ())
    assert (all_layers.name, all_layers.precision) == ("all", "float32")
    assert (top.limit, all_layers.limit) == (1, 8)
    assert top.history[0].validation_recall == 0.4
    assert [(row.epoch, row.learning_rate, row.loss) for row in all_layers.history] == [
        (1, 0.1, 1.0),
        (2, 0.05, 2.0),
        (3, 0.1 / 3, 3.0),
    ]
    [warning] = all_layers.warnings
    assert warning.startswith("all: the loss rose from 1 after epoch 1 to 3 after epoch 3")


def test_what_the_recipe_decided_stands_in_the_report_with_its_reason_and_so_does_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Decision("image.size", [32, 96], "images are stored at 90x30, of one long shape")
    context = Context("report", 0, 0, tmp_path, tmp_path, lambda *_: None, print, settings=Settings(decisions=(size,)))
    monkeypatch.setattr(build, "warnings", lambda description: [])
    monkeypatch.setattr(build, "advice", lambda report: (f"{report.deployed}: longer",))
    example = report()
    nothing_found: dict[str, Any] = {"left_out": [], "leaks": {}, "group_leaks": {}, "classes": {}}
    nothing_found["split_sha256"] = {"test": "0" * 64}
    made = build_report(
        example.run, example.models, example.deployed, example.balance, (), (), Timings({}, ()), nothing_found, context
    )
    (tmp_path / "report.json").write_text(to_text(made))

    found = read(tmp_path / "report.json")
    [decision] = found.recipe

    assert decision.model_dump() == {"key": size.key, "value": size.value, "reason": size.reason}
    assert found.advice == ("student-fp32: longer",)
