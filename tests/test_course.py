from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from rich.console import Console

from compress import course, machine, runner
from compress.artifacts import Models
from compress.context import Context
from compress.course import Plan
from compress.engines import settle
from compress.estimate import Estimate
from compress.pipeline import Stage, link
from compress.progress import Progress
from compress.stages.data import Image
from compress.training.settings import Engine, Schedule, TrainingSettings
from tests.toy import Toy


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setattr(course, "to_toml", lambda config: "")
    monkeypatch.setattr(course, "facts_of", lambda *_: None)
    monkeypatch.setattr(course, "forecast", lambda stages, *_: {stage.name: Estimate(30.0) for stage in stages})
    return Toy(tmp_path)


def plan_of(toy: Toy) -> Plan:
    return Plan(toy.config, (), {}, toy.plan())


def run(toy: Toy, **options: Any) -> tuple[runner.Finished, str]:
    output = io.StringIO()
    finished = course.run(plan_of(toy), toy.store, Progress(Console(file=output, width=100)), **options)
    return finished, output.getvalue()


def test_once_the_data_are_read_the_time_left_is_told(toy: Toy) -> None:
    finished, said = run(toy)

    assert toy.runs == list(finished.entries) == ["source", "user"]
    assert "source: starts (time left: not known yet)" in said
    assert "user: starts (about 30 s left)" in said


def test_what_is_finished_counts_as_such_and_takes_no_time(toy: Toy) -> None:
    run(toy)
    finished, said = run(toy)

    assert [record.cached for record in finished.records] == [True, True]
    assert said == ""


def test_a_plan_may_change_before_a_stage_that_has_not_run(toy: Toy) -> None:
    asked: list[str] = []

    def before(plan: Plan, stage: str, pace: float) -> Plan:
        asked.append(stage)
        if stage != "user":
            return plan
        toy.config.user = type(toy.config.user)(size=7)
        return replace(plan, steps=toy.plan())

    finished, _ = run(toy, before=before)

    assert asked == toy.runs == ["source", "user"]
    assert finished.entries["user"].manifest["key_parts"]["config"] == {"size": 7}
    assert [record.cached for record in finished.records] == [False, False]


def test_the_time_left_is_a_range_if_the_end_of_a_training_is_open(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "open_ended", property(lambda plan: {"user": 0.3}))
    made = {"source": Estimate(30.0, least=10.0), "user": Estimate(30.0, least=10.0)}
    monkeypatch.setattr(course, "forecast", lambda *_: made)
    assert "user: starts (10 to 30 s left)" in run(toy)[1]

    toy.config.user = type(toy.config.user)(size=2)
    seconds = {"source": 0.0, "user": 0.0}  # as of a training that there is nothing to do for
    monkeypatch.setattr(course, "forecast", lambda stages, *_: {name: Estimate(s) for name, s in seconds.items()})
    assert "user: starts (about 0 s left)" in run(toy)[1]


class Named(BaseModel):
    """Settings of a training that are not those of the fit loop, though they name a network as those do."""

    network: str = "its own"


def with_usual_settings(config: TrainingSettings, train: Engine, out: Path, context: Context) -> Models:
    raise NotImplementedError


def with_settings_of_its_own(config: Named, train: Engine, out: Path, context: Context) -> Models:
    raise NotImplementedError


def without_settings(train: Engine, out: Path, context: Context) -> Models:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("made", "section", "open_ended"),
    [
        (with_usual_settings, TrainingSettings(schedule=Schedule(shape="wsd", fall=0.2)), {"added": 0.2}),
        (with_usual_settings, TrainingSettings(schedule=Schedule(shape="cosine")), {}),
        (with_settings_of_its_own, Named(), {}),
        (without_settings, None, {}),
    ],
)
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_training_may_have_settings_of_its_own_or_none(
    made: Any, section: Any, open_ended: dict[str, float], precision: Any, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "precisions", lambda device: ("float32", "bfloat16"), raising=False)
    module = ModuleType("added")
    module.run = made  # type: ignore[attr-defined]
    pipeline = link((*toy.pipeline, Stage("added", module)))
    toy.config.train, toy.config.image = Engine.model_construct(precision=precision), Image()
    if section:
        toy.config.added = section

    settled = settle(pipeline, toy.config, toy.store.speeds, None, print)
    plan = Plan(toy.config, (), settled, runner.plan(pipeline, toy.config, toy.store, settled))

    assert plan.open_ended == open_ended
    assert settled["added"]["train"].precision == "float32"
