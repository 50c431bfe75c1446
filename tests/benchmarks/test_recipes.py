"""The table of benchmarks/recipes.py, without its trainings."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import recipes
from compress.config import load
from compress.report.file import to_text
from compress.report.making import Epoch, Training
from compress.toml import to_toml
from tests.report.examples import report

FILLED = {"folder": Path("sets"), "weights": None}


def run_of(given: recipes.Settings, validation: float = 0.9, test: float = 0.9) -> recipes.Run:
    """Return a run whose deployed model has these accuracies."""
    whole = report()
    student = whole.models[1]
    scores = {
        split: getattr(student, split).model_copy(update={"accuracy": accuracy})
        for split, accuracy in (("validation", validation), ("test", test))
    }
    models = (whole.models[0], student.model_copy(update=scores))
    config = load(assignments=[f"{key}={value}" for key, value in given.items()])
    return recipes.Run(given, config, whole.model_copy(update={"models": models}), 90.0)


@pytest.mark.parametrize("name", recipes.BY_HAND)
def test_what_is_set_by_hand_are_settings_and_four_runs_that_differ(name: str) -> None:
    rows = recipes.BY_HAND[name]

    configs = [load(assignments=[f"{key}={value}" for key, value in row.items()]) for row in rows]

    assert len({to_toml(config) for config in configs}) == len(rows) >= 4


def test_the_best_run_by_hand_is_chosen_on_validation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = iter([run_of({}, 0.8, 0.95), run_of({"teacher.epochs": 7}, 0.9, 0.7), run_of({}, 0.85), run_of({}, 0.7)])
    asked: list[recipes.Settings] = []

    def finished(folder: Path, name: str, given: recipes.Settings, filled: recipes.Settings) -> recipes.Run:
        asked.append(given)
        return next(runs)

    monkeypatch.setattr(recipes, "finished", finished)

    best = recipes.by_hand(tmp_path, "digits", FILLED)

    assert best is not None
    assert best.given == {"teacher.epochs": 7}
    assert [settings["recipe"] for settings in asked] == ["none"] * 4
    assert recipes.by_hand(tmp_path, "photos", FILLED) is None


def test_a_row_tells_what_was_chosen_and_what_came_of_it() -> None:
    run = run_of({"image.size": 48, "teacher.epochs": 20, "teacher.learning_rate": 0.05}, test=0.85)

    assert recipes.figures(run) == ("1.000", "0.850 (student-fp32)", "0.839 to 1.000", "5", "1.5")
    assert recipes.chosen(run).startswith("48 pixels, vgg16, at most 20 epochs at 0.05, batch 32, flip none, plain")


def test_the_best_epoch_of_each_training_is_told() -> None:
    rows = [
        Epoch(epoch=i, learning_rate=0.1, loss=1.0, validation_accuracy=score, validation_cross_entropy=1.0)
        for i, score in enumerate((0.5, 0.75, 0.7), start=1)
    ]
    phases = tuple(
        Training(name=name, precision="float32", limit=limit, history=tuple(rows[:n]), warnings=())
        for name, n, limit in (("phase1", 2, 20), ("training", 3, 3))
    )
    whole = report().model_copy(update={"training": {"teacher": phases, "given": ()}})

    [line] = recipes.best_of_trainings(recipes.Run({}, None, whole, 1.0))

    assert line == "teacher on validation: phase1 0.7500 in 2 of 20 epochs, training 0.7500 in 3 of 3 epochs"


def test_a_run_goes_on_until_it_is_finished_and_is_then_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []
    clock = iter([0.0, 60.0, 100.0, 130.0])

    def command(words: list[str], cwd: Path, **_: Any) -> None:
        commands.append(words)
        if len(commands) == 1:
            raise KeyboardInterrupt
        bundle = cwd / "exported" / "emoji"
        bundle.mkdir(parents=True)
        (bundle / "report.json").write_text(to_text(report()))
        (bundle / "config.toml").write_text(to_toml(load()))

    monkeypatch.setattr(subprocess, "run", command)
    monkeypatch.setattr(recipes.time, "monotonic", lambda: next(clock))
    arguments: Any = (tmp_path / "emoji", "emoji", {"image.size": 48}, FILLED, ("--budget", "10m"))
    with pytest.raises(KeyboardInterrupt):
        recipes.finished(*arguments)
    first, second = recipes.finished(*arguments), recipes.finished(*arguments)

    assert first == second
    assert first.seconds == 90.0  # those of the run that was interrupted too
    assert len(commands) == 2
    assert commands[1][3:] == [
        *("all", "--data", "sets/emoji", "--budget", "10m"),
        *("--set", "data.group=^[^.]+", "--set", "image.size=48"),
    ]
