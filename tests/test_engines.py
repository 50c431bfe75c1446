from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress import engines, machine, rehearsal, runner
from compress.arrays import save_arrays
from compress.config import load
from compress.pipeline import PIPELINE
from compress.store import Store
from compress.training.cluster import Cluster

HOST = machine.host()
TRAINED = ["teacher", "prune", "distill", "prune_student", "unbalanced"]
AS_MEASURED = dict.fromkeys(TRAINED, "bfloat16") | {"prune_student": "float32"}  # it is not trained by default


class Measured:
    """In place of the process that measures: what it was asked, and how fast it finds bfloat16."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bfloat16, self.asked = 0.001, list[rehearsal.Rehearsal]()
        monkeypatch.setattr(rehearsal, "one_child", lambda if_killed: self)
        monkeypatch.setattr(machine, "precisions", lambda device: ("float32", "bfloat16"), raising=False)

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, measure: Any, asked: rehearsal.Rehearsal) -> Any:
        assert measure is rehearsal._measured
        self.asked.append(asked)
        seconds = {"float32": 0.002, "bfloat16": self.bfloat16}
        return SimpleNamespace(
            result=lambda: rehearsal.Cost(1, 1, 1, {name: seconds[name] for name in asked.precisions})
        )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    return Measured(monkeypatch)


def settle(folder: Path, *assignments: str, notes: list[str] | None = None, told: Any = None) -> Any:
    config = load(assignments=["train.precision=auto", *assignments])
    note = (notes if notes is not None else []).append
    return engines.settle(PIPELINE, config, folder / "speeds.json", None, note, told)


def test_auto_is_measured_once_for_each_training_and_said(measured: Measured, tmp_path: Path) -> None:
    notes: list[str] = []

    settled = settle(tmp_path, notes=notes)
    again = settle(tmp_path, notes=notes)

    assert list(settled) == TRAINED
    assert engines.precisions_of(settled) == AS_MEASURED
    assert again == settled
    assert notes == [
        "teacher and prune: computed in bfloat16: a step takes 64.0 ms in float32, 32.0 ms in bfloat16",
        "distill: computed in bfloat16: a step takes 128.0 ms in float32, 64.0 ms in bfloat16",
    ]
    assert [asked.network[0] for asked in measured.asked] == ["teachers", "students"]


@pytest.mark.parametrize(
    ("setting", "again"),
    [("teacher.epochs=1", 0), ("teacher.schedule.shape=cosine", 0), ("teacher.batch_size=8", 1), ("image.size=48", 2)],
)
def test_only_what_changes_a_step_is_measured_again(
    setting: str, again: int, measured: Measured, tmp_path: Path
) -> None:
    settle(tmp_path)
    before = len(measured.asked)
    settle(tmp_path, setting)

    assert len(measured.asked) == before + again


@pytest.mark.parametrize("fact", ["memory_bytes", "system"])
def test_a_twin_or_a_new_kernel_measures_nothing(
    fact: str, measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(tmp_path)
    monkeypatch.setattr(machine, "host", lambda: {**HOST, fact: "another"})
    settle(tmp_path)

    assert len(measured.asked) == 2


def test_another_machine_finds_what_was_trained_in_the_precision_that_it_chooses(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        return runner.plan(PIPELINE[:2], load(), Store(tmp_path), settle(tmp_path))[1].key

    here = key()
    monkeypatch.setattr(machine, "host", lambda: {**HOST, "cores": 1000})
    assert key() == here
    assert len(measured.asked) == 4
    monkeypatch.setattr(machine, "host", lambda: {**HOST, "cores": 2000})
    measured.bfloat16 = 0.003
    assert key() != here


def test_auto_needs_no_measurement_where_there_is_no_choice(measured: Measured, tmp_path: Path) -> None:
    told: Any = AS_MEASURED
    assert engines.precisions_of(settle(tmp_path, told=told)) == told
    named = settle(tmp_path, "train.precision=float32")
    assert set(engines.precisions_of(named).values()) == {"float32"}
    with pytest.MonkeyPatch.context() as only:
        only.setattr(machine, "precisions", lambda device: ("float32",), raising=False)
        assert set(engines.precisions_of(settle(tmp_path)).values()) == {"float32"}
    assert measured.asked == []


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_a_teacher_that_is_not_trained_is_not_measured_and_the_same_in_each_precision(
    precision: str, measured: Measured, tmp_path: Path
) -> None:
    save_arrays(tmp_path / "whole.npz", {"0000": np.zeros((2, 3), np.float32)})
    weights = (f"teacher.weights={tmp_path / 'whole.npz'}", "teacher.epochs=0", f"train.precision={precision}")

    chosen = engines.precisions_of(settle(tmp_path, *weights))

    assert chosen == AS_MEASURED | {"teacher": "float32", "unbalanced": "float32"}
    assert [asked.settings.__class__.__module__ for asked in measured.asked] == (
        ["compress.stages.prune", "compress.stages.distill"] if precision == "auto" else []
    )


def test_long_images_are_measured_as_such(measured: Measured, tmp_path: Path) -> None:
    settle(tmp_path, "image.size=[16, 96]", "image.color=grey")

    assert {asked.image_shape for asked in measured.asked} == {(16, 96, 1)}


def test_a_stage_of_which_the_chief_told_nothing_is_not_measured(measured: Measured, tmp_path: Path) -> None:
    settled = settle(tmp_path, told={"teacher": "bfloat16"})

    assert engines.precisions_of(settled) == dict.fromkeys(TRAINED, "float32") | {"teacher": "bfloat16"}
    assert not measured.asked


@pytest.mark.parametrize("damaged", ["[", "[1]", "3", "null", '{"a": "int4"}'])
def test_a_memory_that_cannot_be_read_is_made_anew(damaged: str, measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "speeds.json").write_text(damaged)
    settle(tmp_path)

    assert [cost.params for cost in rehearsal.remembered(tmp_path / "speeds.json").values()] == [1, 1]


@pytest.mark.parametrize(
    ("strategy", "tasks", "gpus", "replicas"),
    [
        ("none", None, 4, 1),
        ("mirrored", None, 4, 4),
        ("multi_worker", {"worker": ["a:1", "b:1"]}, 0, 2),
        ("multi_worker", {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, 2, 6),
        ("parameter_server", {"chief": ["a:1"], "ps": ["b:1"], "worker": ["c:1", "d:1"]}, 0, 2),
    ],
)
def test_the_number_of_replicas_is_in_the_key_of_what_trains(
    strategy: Any, tasks: Any, gpus: int, replicas: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ("a card",) * gpus)
    config = load(assignments=[f"train.strategy={strategy}"])
    cluster = Cluster(tasks, "worker", 0) if tasks else None

    settled = engines.settle(PIPELINE, config, tmp_path / "speeds.json", cluster, print)
    [data, teacher] = runner.plan(PIPELINE[:2], config, Store(tmp_path), settled)

    assert teacher.key_parts["train"]["replicas"] == replicas
    assert "train" not in data.key_parts


def test_where_statistics_come_from_is_in_the_key_of_what_trains(tmp_path: Path) -> None:
    config = load(assignments=["train.norm_statistics=images", "train.precision=float32"])

    settled = engines.settle(PIPELINE, config, tmp_path / "speeds.json", None, print)
    [_, teacher] = runner.plan(PIPELINE[:2], config, Store(tmp_path), settled)

    assert teacher.key_parts["train"]["norm_statistics"] == "images"
    assert settled["prune"]["train"].norm_statistics == "images"


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"float32": 0.13, "bfloat16": 0.1}, "bfloat16"),
        ({"float32": 0.1, "bfloat16": 0.2}, "float32"),
        ({"float32": 0.105, "bfloat16": 0.1}, "float32"),
        ({"float32": 0.1}, "float32"),
    ],
)
def test_a_precision_is_faster_only_if_it_is_clearly_so(seconds: dict[machine.Dtype, float], chosen: str) -> None:
    assert engines.faster(seconds) == chosen
