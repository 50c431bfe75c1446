from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import forecast as module
from compress import machine
from compress.arrays import save_arrays
from compress.config import load
from compress.engines import rehearsals_of, settle
from compress.estimate import Facts
from compress.forecast import forecast
from compress.pipeline import PIPELINE
from compress.rehearsal import Cost, Rehearsal

FACTS = Facts((500, 500), 250, 250, (32, 32, 1), "none")
TRAININGS = ["teacher", "prune", "distill"]
ALL = [stage.name for stage in PIPELINE]
STEP = {"teachers": 0.01, "students": 0.001}  # seconds per image


class Asked:
    """In place of the process that times steps: the networks that it was asked for."""

    def __init__(self) -> None:
        self.families: list[str] = []

    def costs_of(self, rehearsals: Sequence[Rehearsal], memory: Path) -> tuple[dict[str, Cost], set[str]]:
        self.families += [rehearsal.network[0] for rehearsal in rehearsals]
        costs = {
            rehearsal.digest: Cost(1_000_000, 10, 100, dict.fromkeys(rehearsal.precisions, STEP[rehearsal.network[0]]))
            for rehearsal in rehearsals
        }
        return costs, set(costs)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(module, "costs_of", asked.costs_of)
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    return asked


def seconds(*assignments: str, to_run: Sequence[str] = ALL, measuring: bool = True, facts: Facts = FACTS) -> Any:
    config: Any = load(assignments=["recipe=none", "train.precision=float32", *assignments])
    settled = settle(PIPELINE, config, Path("nowhere"), None, print)
    estimates = forecast(PIPELINE, config, settled, facts, to_run, Path("nowhere"), measuring)
    return {name: estimate.seconds for name, estimate in estimates.items()}


def test_a_training_takes_its_epochs_of_measured_steps_and_one_look_at_validation_after_each(asked: Asked) -> None:
    short, long = seconds("teacher.epochs=2"), seconds("teacher.epochs=7")

    assert long["teacher"] - short["teacher"] == pytest.approx(5 * (1000 * 0.01 + 250 * 0.01 / 3))
    assert {name: long[name] for name in ALL if name != "teacher"} == {
        name: short[name] for name in ALL if name != "teacher"
    }


def test_a_student_takes_all_views_in_each_epoch_and_its_sources_logits_of_each(asked: Asked) -> None:
    costs = [seconds("distill.views=2", f"distill.epochs={epochs}")["distill"] for epochs in (5, 6)]
    more = seconds("distill.views=3", "distill.epochs=5")["distill"]

    assert costs[1] - costs[0] == pytest.approx(2 * 1000 * 0.001 + 250 * 0.001 / 3)
    assert more - costs[0] == pytest.approx(5 * 1000 * 0.001 + 0.25 * 1000 * 0.01 / 3 * module.estimate.INT8)


def test_pruning_judges_filters_and_computes_the_logits_of_the_views_that_its_epochs_see(asked: Asked) -> None:
    whole, inference = 1000 * 0.01, 1000 * 0.01 / 3  # of the teacher, on all training images

    def cost(*assignments: str) -> float:
        return seconds(*assignments, "prune.epochs=3")["prune"]

    masks = cost("prune.method=magnitude", "prune.views=2")
    filters = cost("prune.method=filters", "prune.views=2", "prune.target=0.5", "prune.importance_images=100")
    assert masks - filters == pytest.approx(0.5 * 3 * (whole + 0.25 * inference) - 0.1 * whole)
    assert cost("prune.method=magnitude", "prune.views=9") - masks == pytest.approx(inference)
    assert cost("prune.target_of=latency") > cost("prune.target_of=weights")


def test_what_is_measured_for_a_set_time_takes_it_for_each_number_of_threads_and_batch(asked: Asked) -> None:
    costs = [seconds(f"bench.seconds={time}")["bench"] for time in (10, 20)]

    assert costs[1] - costs[0] == pytest.approx(2 * 2 * 10)
    slow = seconds("bench.seconds=0.01", "bench.batches=[1,64]")["bench"]
    assert slow > 64 * 2 * 0.01 / 3  # no less than a call of each model


def test_a_teacher_is_not_trained_again_unless_classes_are_balanced(asked: Asked) -> None:
    balanced = Facts((900, 100), 250, 250, (32, 32, 1), "class_weights")

    assert seconds()["unbalanced"] == 0
    assert seconds(facts=balanced)["unbalanced"] > 0


def test_a_teacher_with_the_weights_of_all_layers_takes_no_time_and_pruning_it_does(
    asked: Asked, tmp_path: Path
) -> None:
    save_arrays(tmp_path / "whole.npz", {"0000": np.zeros((2, 3), np.float32)})
    balanced = Facts((900, 100), 250, 250, (32, 32, 1), "class_weights")

    cost = seconds(f"teacher.weights={tmp_path / 'whole.npz'}", "teacher.epochs=0", facts=balanced)

    assert (cost["teacher"], cost["unbalanced"]) == (0, 0)
    assert cost["prune"] > 0
    assert asked.families == ["teachers", "students"]


@pytest.mark.parametrize(
    ("assignments", "to_run", "measuring", "families"),
    [
        ((), ALL, True, ["teachers", "teachers", "students"]),  # remembering is the other function's part
        ((), ["distill", "report"], True, ["students"]),
        ((), ["unbalanced", "report"], True, []),
        (("teacher.epochs=1", "prune.epochs=1"), ALL, False, []),  # so short that it soon tells its pace itself
        (("teacher.epochs=60",), ALL, False, ["teachers", "teachers", "students"]),
    ],
)
def test_steps_are_timed_of_what_will_train_if_it_is_asked_or_will_be_long(
    assignments: tuple[str, ...], to_run: list[str], measuring: bool, families: list[str], asked: Asked
) -> None:
    seconds(*assignments, to_run=to_run, measuring=measuring)

    assert asked.families == families


def test_larger_images_are_guessed_to_take_longer(asked: Asked) -> None:
    small, large = (seconds(f"image.size={size}", to_run=[], measuring=False) for size in (32, 64))

    same = module.estimate.PREPARATION
    assert large["teacher"] - same == pytest.approx(4 * (small["teacher"] - same))
    assert list(rehearsals_of(PIPELINE, load(assignments=["recipe=none"]))) == [
        *TRAININGS,
        "prune_student",
        "unbalanced",
    ]
