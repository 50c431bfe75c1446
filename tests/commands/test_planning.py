from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compress import course, deadline
from compress.commands import planning
from compress.config import load, updated
from compress.estimate import Estimate, Facts
from compress.toml import to_toml
from tests.conftest import run_main

FACTS = Facts((500, 500), 250, 250, (32, 32, 1), "none")
DECIDED = {"recipe": "none", "budget": "", "teacher.epochs": 100, "prune.epochs": 6}


@pytest.fixture(autouse=True)
def minutes(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Look at no image and time no step: an epoch of a teacher takes that many minutes, any other stage one."""
    minutes = {"epoch": 1.0}

    def forecast(pipeline: Any, config: Any, *_: Any, **__: Any) -> dict[str, Estimate]:
        taken = {name: minutes["epoch"] * getattr(config, name).epochs for name in ("teacher", "prune")}
        taken["prune_student"] = 0.0
        return {stage.name: Estimate(60 * taken.get(stage.name, 1.0)) for stage in pipeline}

    for module in (course, deadline):
        monkeypatch.setattr(module, "forecast", forecast)
        monkeypatch.setattr(module, "facts_of", lambda *_: FACTS)
    monkeypatch.setattr(planning, "settle_engines", lambda *_: {})
    monkeypatch.setattr(planning, "settle_recipe", lambda config, *_: (updated(config, DECIDED, "the test"), ()))
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setenv("COLUMNS", "200")
    return minutes


def test_plan_says_what_a_run_takes_and_if_that_is_long_what_an_hour_would_cost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], minutes: dict[str, float]
) -> None:
    minutes["epoch"] = 0.1
    assert run_main(monkeypatch, tmp_path, "plan") == 0
    assert "the run will take about 19 min" in (short := capsys.readouterr().out)
    assert "--budget" not in short
    assert run_main(monkeypatch, tmp_path, "plan", "--set", "teacher.schedule.shape=wsd") == 0
    assert "the run will take 8 to 19 min" in capsys.readouterr().out

    minutes["epoch"] = 1
    assert run_main(monkeypatch, tmp_path, "plan") == 0

    said = capsys.readouterr().out
    assert "with --budget 1h, " in said
    assert "without the budget of 1h" in said.partition("with --budget 1h, ")[2]


def test_plan_of_a_run_longer_than_an_hour_at_any_length_says_which_budget_would_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], minutes: dict[str, float]
) -> None:
    minutes["epoch"] = 100

    assert run_main(monkeypatch, tmp_path, "plan") == 0

    assert "budget = '1h': too short for this run" in capsys.readouterr().out


def test_what_a_budget_decides_is_printed_as_plain_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path, "plan", "--budget", "30m") == 0
    planned = capsys.readouterr().out
    assert run_main(monkeypatch, tmp_path, "config", "--budget", "30m") == 0
    printed = capsys.readouterr().out

    (tmp_path / "printed.toml").write_text(printed)
    config: Any = load(tmp_path / "printed.toml")
    assert f"teacher.epochs = {config.teacher.epochs}: " in planned
    assert "without the budget of 30m" in printed
    assert (config.recipe, config.budget) == ("none", "")
    assert to_toml(config) in printed
    assert 0 < config.teacher.epochs + config.prune.epochs <= 30 - 8
    assert not (tmp_path / ".compress" / "budgets.json").exists()


def test_a_budget_of_processes_that_train_together_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))

    assert run_main(monkeypatch, tmp_path, "plan", "--budget", "30m", "--set", "train.strategy=multi_worker") == 2

    message = capsys.readouterr().err
    assert "budget = '30m': the processes of train.strategy = 'multi_worker' would each plan on their own" in message
    assert message.count("\n") == 1


def test_what_is_measured_for_a_budget_is_said_once_and_not_printed_among_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def settle(pipeline: Any, config: Any, memory: Any, cluster: Any, note: Any) -> dict[str, Any]:
        note("teacher: computed in bfloat16")
        return {}

    monkeypatch.setattr(planning, "settle_engines", settle)
    assert run_main(monkeypatch, tmp_path, "config", "--budget", "30m") == 0

    printed, said = capsys.readouterr()
    assert "bfloat16\n" not in printed
    assert said == "teacher: computed in bfloat16\n"
