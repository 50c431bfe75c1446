from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compress import engines, machine, runner
from compress.config import load
from compress.pipeline import PIPELINE
from compress.store import Store
from compress.training.cluster import Cluster

HOST = machine.host()
TRAINED = ["teacher", "prune", "distill", "unbalanced"]


class Measured:
    """In place of the process that measures: what it was asked, and what it finds faster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faster, self.asked = "bfloat16", list[engines.Rehearsal]()
        monkeypatch.setattr(engines, "one_child", lambda *_: self)
        monkeypatch.setattr(machine, "precisions", lambda device: ("float32", "bfloat16"), raising=False)

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, measure: Any, rehearsal: engines.Rehearsal) -> Any:
        assert measure is engines._measured
        self.asked.append(rehearsal)
        return SimpleNamespace(result=lambda: (self.faster, ": figures"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    return Measured(monkeypatch)


def settle(folder: Path, *assignments: str, notes: list[str] | None = None, told: Any = None) -> Any:
    config = load(assignments=["train.precision=auto", *assignments])
    note = (notes if notes is not None else []).append
    return engines.settle(PIPELINE, config, folder / "precisions.json", None, note, told)


def test_auto_is_measured_once_for_each_training_and_said(measured: Measured, tmp_path: Path) -> None:
    notes: list[str] = []

    settled = settle(tmp_path, notes=notes)
    again = settle(tmp_path, notes=notes)

    assert list(settled) == TRAINED
    assert engines.precisions_of(settled) == dict.fromkeys(TRAINED, "bfloat16")
    assert again == settled
    assert notes == [f"{name} is computed in bfloat16: figures" for name in TRAINED[:3]]  # the last is the first
    assert [rehearsal.network[0] for rehearsal in measured.asked] == ["teachers", "teachers", "students"]


@pytest.mark.parametrize("fact", ["memory_bytes", "system"])
def test_a_twin_or_a_new_kernel_measures_nothing(
    fact: str, measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(tmp_path)
    monkeypatch.setattr(machine, "host", lambda: {**HOST, fact: "another"})
    settle(tmp_path)

    assert len(measured.asked) == 3


def test_another_machine_finds_what_was_trained_in_the_precision_that_it_chooses(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        return runner.plan(PIPELINE[:2], load(), Store(tmp_path), settle(tmp_path))[1].key

    here = key()
    monkeypatch.setattr(machine, "host", lambda: {**HOST, "cores": 1000})
    assert key() == here
    assert len(measured.asked) == 6
    monkeypatch.setattr(machine, "host", lambda: {**HOST, "cores": 2000})
    measured.faster = "float32"
    assert key() != here


def test_auto_needs_no_measurement_where_there_is_no_choice(measured: Measured, tmp_path: Path) -> None:
    told = dict.fromkeys(TRAINED, "bfloat16")
    assert engines.precisions_of(settle(tmp_path, told=told)) == told
    named = settle(tmp_path, "train.precision=float32")
    assert set(engines.precisions_of(named).values()) == {"float32"}
    with pytest.MonkeyPatch.context() as only:
        only.setattr(machine, "precisions", lambda device: ("float32",), raising=False)
        assert set(engines.precisions_of(settle(tmp_path)).values()) == {"float32"}
    assert measured.asked == []


def test_long_images_are_measured_as_such(measured: Measured, tmp_path: Path) -> None:
    settle(tmp_path, "image.size=[16, 96]", "image.color=grey")

    assert {rehearsal.image_shape for rehearsal in measured.asked} == {(16, 96, 1)}


def test_a_stage_of_which_the_chief_told_nothing_is_not_measured(measured: Measured, tmp_path: Path) -> None:
    settled = settle(tmp_path, told={"teacher": "bfloat16"})

    assert engines.precisions_of(settled) == dict.fromkeys(TRAINED, "float32") | {"teacher": "bfloat16"}
    assert not measured.asked


@pytest.mark.parametrize("damaged", ["[", "[1]", "3", "null", '{"a": "int4"}'])
def test_a_memory_that_cannot_be_read_is_made_anew(damaged: str, measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "precisions.json").write_text(damaged)
    settle(tmp_path)

    assert set(json.loads((tmp_path / "precisions.json").read_bytes()).values()) == {"bfloat16"}


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

    settled = engines.settle(PIPELINE, config, tmp_path / "precisions.json", cluster, print)
    [data, teacher] = runner.plan(PIPELINE[:2], config, Store(tmp_path), settled)

    assert teacher.key_parts["train"]["replicas"] == replicas
    assert "train" not in data.key_parts


def test_what_is_measured_is_a_training_with_these_settings() -> None:
    config: Any = load(assignments=["distill.batch_size=8", "distill.student.options={width=2, blocks=1}"])
    rehearsal = engines.Rehearsal(config.distill.network, (16, 16, 1), config.distill)

    chosen, _ = engines._measured(rehearsal)

    assert chosen in machine_precisions()


def machine_precisions() -> tuple[str, ...]:
    from compress.training import precision

    return precision.available()
