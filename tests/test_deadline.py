from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compress import deadline as module
from compress import runner
from compress.config import load, updated
from compress.course import Plan
from compress.deadline import Deadline
from compress.durations import seconds_of
from compress.errors import BadInputError
from compress.estimate import Estimate, Facts
from compress.pipeline import PIPELINE
from compress.store import Store

FACTS = Facts((3200, 3200), 800, 800, (64, 64, 3), "none")
WIDTH = "teacher.architecture.options.width"
USUAL: Any = updated(
    load(assignments=["recipe=none", "image.size=64", "teacher.architecture=vgg11"]),
    {"teacher.epochs": 30, "prune.epochs": 6, "distill.epochs": 10, "distill.views": 8},
    "the test",
)
ALL = [stage.name for stage in PIPELINE]


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def monotonic(self) -> float:
        return self.now


def seconds(config: Any) -> dict[str, float]:
    """Return what stages take: in proportion to the area of images, their number of epochs, and views."""
    area, views = (config.image.size / 64) ** 2, config.distill.views
    width = config.teacher.architecture.options.get("width", 1.0)
    trained = {
        "teacher": 20 * area * width * config.teacher.epochs,
        "prune": 20 * area * width * config.prune.epochs,
        "distill": area * views * (4 + config.distill.epochs),
    }
    if config.prune_student.enabled:
        trained["prune_student"] = 10 * area * config.prune_student.epochs
    return {name: trained.get(name, 10.0) for name in ALL}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "facts_of", lambda *_: FACTS)
    monkeypatch.setattr(
        module,
        "forecast",
        lambda pipeline, config, *_, **options: {name: Estimate(taken) for name, taken in seconds(config).items()},
    )
    return clock


class Run:
    """A run with a budget, of which no stage is really run: on each the made clock goes on."""

    def __init__(
        self, folder: Path, clock: Clock, budget: str, *given: str, slower: float = 1.0, settings: Any = None
    ) -> None:
        self.store, self.clock, self.budget, self.given = Store(folder), clock, budget, given
        self.settings = settings or USUAL
        self.slower, self.notes, self.changes = slower, list[str](), list[Mapping[str, Any]]()

    def usual(self, changes: Mapping[str, Any]) -> Plan:
        self.changes.append(changes)
        config = updated(self.settings, changes, "the test")
        return Plan(config, (), {}, runner.plan(PIPELINE, config, self.store))

    def deadline(self) -> Deadline:
        return Deadline(self.budget, self.usual, self.given, self.store, self.notes.append)

    def go(self, last: str = "report", stops_early: str = "") -> Plan:
        """Run up to a stage; the training `stops_early` takes half of its time."""
        deadline = self.deadline()
        plan = deadline.begin()
        for stage in ALL:
            pace = self.slower if ALL.index(stage) > ALL.index("teacher") else 1.0  # as the first training shows
            plan = deadline.before(plan, stage, pace)
            step = next(step for step in plan.steps if step.stage.name == stage)
            if step.entry is None:
                taken = seconds(plan.config)[stage] * self.slower * (0.5 if stage == stops_early else 1)
                self.clock.now += taken
                if stage != last:
                    self.store.work_folder(stage, step.key, {})
                    facts = {"seconds": taken, "key_parts": step.key_parts, "artifact": {}, "made_from": {}}
                    self.store.publish(stage, step.key, facts)
            if stage == last:
                break
        return plan


def lengths(plan: Plan) -> tuple[int, int, int, int]:
    config = plan.config
    return config.teacher.epochs, config.prune.epochs, config.distill.epochs, config.distill.views


@pytest.mark.parametrize("slower", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("budget", ["8m", "10m", "13m"])
def test_a_run_ends_in_time_though_it_goes_faster_or_slower_than_measured(
    budget: str, slower: float, tmp_path: Path, clock: Clock
) -> None:
    began = clock.now
    run = Run(tmp_path, clock, budget, slower=slower)

    plan = run.go()

    taken = clock.now - began
    assert taken <= 1.15 * seconds_of(budget)
    assert taken >= 0.7 * seconds_of(budget) or lengths(plan)[1:] == (6, 10, 8)
    assert any(line.startswith("recipe: teacher.epochs = ") for line in run.notes)
    assert f"without the budget of {budget}" in run.notes[0]


def test_a_budget_that_is_long_enough_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "2h")

    assert run.go().config == USUAL
    assert run.notes == []


@pytest.mark.parametrize("enabled", [True, False])
def test_pruning_the_student_gets_shorter_too_if_it_takes_place(enabled: bool, tmp_path: Path, clock: Clock) -> None:
    settings = updated(USUAL, {"prune_student.enabled": enabled, "prune_student.epochs": 20}, "the test")
    began = clock.now
    run = Run(tmp_path, clock, "10m", settings=settings)

    plan = run.go()

    assert clock.now - began <= 1.15 * seconds_of("10m")
    assert (plan.config.prune_student.epochs < 20) == enabled
    assert any("prune_student.epochs" in line for line in run.notes) == enabled


def test_what_a_training_leaves_by_stopping_early_goes_to_those_after_it(tmp_path: Path, clock: Clock) -> None:
    usual, early = (lengths(Run(tmp_path / name, clock, "8m").go(stops_early=name)) for name in ("report", "teacher"))

    assert early[0] == usual[0]
    assert sum(early) > sum(usual)
    assert all(longer >= shorter for longer, shorter in zip(early, usual, strict=True))


@pytest.mark.parametrize("last", ["data", "teacher", "quantize", "distill"])
def test_a_run_that_was_killed_goes_on_with_what_was_decided(last: str, tmp_path: Path, clock: Clock) -> None:
    whole = Run(tmp_path / "whole", clock, "8m").go()
    run = Run(tmp_path / "killed", clock, "8m")
    killed = run.go(last)
    clock.now += 1e6  # a night later
    run.slower = 1.2

    resumed = run.go()

    decided = ["data", "teacher", "quantize", "distill"].index(last)
    assert lengths(resumed)[:decided] == lengths(killed)[:decided] == lengths(whole)[:decided]
    assert all(step.entry for step in run.deadline().begin().steps[:-1])  # run again, all is finished
    assert run.deadline().begin().config == resumed.config


def test_what_a_run_up_to_an_earlier_stage_has_decided_is_not_for_the_whole(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, clock, "150s")
    with monkeypatch.context() as earlier:
        earlier.setattr("tests.test_deadline.PIPELINE", PIPELINE[:2])
        earlier.setattr("tests.test_deadline.ALL", ALL[:2])
        alone = run.go("teacher")

    assert run.go().config.teacher.epochs < alone.config.teacher.epochs


def test_a_repeated_run_of_rectangles_is_planned_as_the_first_was(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_deadline.USUAL", updated(USUAL, {"image.size": [32, 128]}, "the test"))
    monkeypatch.setattr("tests.test_deadline.seconds", lambda config: dict.fromkeys(ALL, 10.0))
    run = Run(tmp_path, clock, "8m")

    assert run.deadline().begin().config == run.deadline().begin().config
    assert run.changes == [{}, {}]


def test_the_time_of_an_earlier_process_counts(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "8m")
    run.go("quantize")

    deadline = run.deadline()
    deadline.begin()

    plan = deadline.begin()
    taken = seconds(plan.config)
    assert deadline.spent == pytest.approx(taken["data"] + taken["teacher"] + taken["prune"])


def test_smaller_images_are_taken_before_trainings_become_useless(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "150s")

    plan = run.go()

    assert plan.config.image.size < 64
    assert run.changes[0] == {}
    assert "recipe: image.size = " in run.notes[0]
    assert Run(tmp_path, clock, "150s").go().config == plan.config


def test_half_of_the_teacher_trains_for_longer_before_images_get_smaller(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Any = updated(USUAL, {"teacher.architecture": "vgg16"}, "the test")
    monkeypatch.setattr("tests.test_deadline.USUAL", whole)
    run = Run(tmp_path, clock, "4m")

    plan = run.go()

    assert (plan.config.teacher.architecture.options, plan.config.image.size) == ({"width": 0.5}, 64)
    assert run.notes[0].startswith(f"recipe: {WIDTH} = 0.5")
    assert Run(tmp_path, clock, "4m").go().config == plan.config
    assert Run(tmp_path / "given", clock, "4m", WIDTH).go().config.teacher.architecture == whole.teacher.architecture


@pytest.mark.parametrize(
    ("budget", "given", "named"),
    [
        ("80s", (), ""),
        ("2m", ("image.size",), " with image.size = 64"),
        ("3m", ("teacher.epochs",), " with teacher.epochs = 30"),
        ("6m", ("teacher.epochs", "image.size"), " with image.size = 64 and teacher.epochs = 30"),
    ],
)
def test_a_budget_that_is_too_short_names_the_shortest_that_works_and_what_is_in_its_way(
    budget: str, given: tuple[str, ...], named: str, tmp_path: Path, clock: Clock
) -> None:
    with pytest.raises(BadInputError) as error:
        Run(tmp_path, clock, budget, *given).go()

    message, _, shortest = str(error.value).rpartition(" ")
    assert message == f"budget = {budget!r}: too short for this run{named}; should be at least"
    Run(tmp_path, clock, shortest, *given).go()
    one_less = f"{math.ceil(seconds_of(shortest) / 60) - 1}m"
    with pytest.raises(BadInputError, match=f"should be at least {shortest}"):
        Run(tmp_path / "less", clock, one_less, *given).go()


def test_a_run_that_took_too_long_says_so_once(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "3m", slower=4.0)
    run.go()
    assert "budget = 3m: the shortest trainings take longer than the time that is left" in run.notes
    again = Run(tmp_path, clock, "3m")
    again.go()

    assert not any("shortest trainings" in line for line in again.notes)


def test_looking_at_a_plan_decides_nothing(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "8m")
    run.deadline().begin(remembering=False)

    assert not run.store.budgets.exists()


@pytest.mark.parametrize("damaged", ["[", "[1]", '{"a": 1}'])
def test_a_memory_that_cannot_be_read_is_made_anew(damaged: str, tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock, "8m")
    run.store.budgets.write_text(damaged)

    assert lengths(run.go()) == lengths(Run(tmp_path / "new", clock, "8m").go())


def test_what_is_finished_is_not_trained_again_with_half_of_the_teacher(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Any = updated(USUAL, {"teacher.architecture": "vgg16"}, "the test")
    monkeypatch.setattr("tests.test_deadline.USUAL", whole)
    Run(tmp_path, clock, "2h").go("distill")

    plan = Run(tmp_path, clock, "2m").deadline().begin()

    assert plan.config.teacher == whole.teacher
    assert plan.config.distill.epochs < whole.distill.epochs
    assert Run(tmp_path / "new", clock, "4m").deadline().begin().config.teacher != whole.teacher
