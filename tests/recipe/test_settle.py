"""Settings with a recipe become settings without one, and the same again the next time."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from compress import runner
from compress.config import given_keys, load, updated
from compress.context import Decision
from compress.pipeline import PIPELINE
from compress.recipe import settle as recipe
from compress.recipe.facts import Facts
from compress.recipe.image_rules import TRAININGS
from compress.recipe.sample import Sample
from compress.recipe.trials import Learned
from compress.store import Store
from compress.toml import to_toml
from tests.conftest import run_main


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """In place of short trainings: what they were to try; they tell that images may be mirrored."""
    tried: list[Sample] = []

    def learn(sample: Sample, seed: int, status: Any) -> Learned:
        tried.append(sample)
        return Learned(min(sample.pixels), "the size is told", "horizontal", "flips are told")

    monkeypatch.setattr(recipe, "learn", learn)
    return tried


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def settled(store: Store, *assignments: str) -> tuple[Any, list[str]]:
    said: list[str] = []
    config, _ = recipe.settle(load(assignments=assignments), store, said.append, print)
    return config, said


def test_what_is_settled_needs_no_recipe_and_says_so_in_its_settings(store: Store, tmp_path: Path) -> None:
    config, said = settled(store, "teacher.batch_size=64")
    assert config.recipe == "none"
    assert config.teacher.batch_size == 64
    assert config.teacher.learning_rate == 0.06  # which the default is not
    assert "recipe: teacher.learning_rate = 0.06: 64 images per step" in said
    (tmp_path / "printed.toml").write_text(to_toml(config))
    assert load(tmp_path / "printed.toml") == config


def test_what_was_decided_for_one_reason_is_said_in_one_line() -> None:
    made = [Decision("a.b", 1, "one"), Decision("a.c", [1, 2], "one"), Decision("a.d", 2, "two")]
    assert recipe.lines(made) == ["recipe: a.b = 1, a.c = [1, 2]: one", "recipe: a.d = 2: two"]


def test_a_workspace_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "workspace")
    first, _ = settled(store)
    assert settled(store)[0] == first


def test_without_a_recipe_nothing_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(recipe, "facts_of")
    config = load(assignments=["recipe=none"])
    assert recipe.settle(config, store, print, print) == (config, ())


def test_the_next_run_remembers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, said = settled(store)
    assert said
    monkeypatch.setattr(recipe, "samples_of", lambda config: pytest.fail("looks again"))
    assert settled(store) == (first, [])


@pytest.mark.parametrize(
    ("assignment", "looks"),
    [
        ("seed=1", 2),
        ("data.test=0.3", 2),
        ("image.color=rgb", 2),
        ("image.size=64", 2),
        ("teacher.augmentation.flip=none", 2),
        ("teacher.epochs=9", 1),
        ("prune.sparsity=0.9", 1),
    ],
)
def test_other_settings_are_decided_anew_but_what_was_tried_is_remembered_where_it_would_be_the_same(
    store: Store, assignment: str, looks: int, tried: list[Sample]
) -> None:
    settled(store)
    assert settled(store, assignment)[1]
    assert len(tried) == looks


def test_other_code_decides_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(store)
    monkeypatch.setattr(recipe, "code_digest", lambda modules: "other")
    assert settled(store)[1]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"decisions": {"a": [{"key": 1}]}}', "\0"])
def test_a_damaged_memory_is_made_again(store: Store, content: str) -> None:
    first, _ = settled(store)
    store.recipes.write_text(content)
    again, said = settled(store)
    assert again == first
    assert said
    assert [len(kept) for kept in json.loads(store.recipes.read_text()).values()] == [1, 1]


def test_rectangles_are_remembered_as_they_were_decided(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = recipe.facts_of
    monkeypatch.setattr(recipe, "facts_of", lambda *given: dataclasses.replace(real(*given), sizes=((320, 40),)))
    first, _ = settled(store)
    assert first.image.size == (32, 256)
    assert settled(store) == (first, [])


def test_what_is_tried_decides_and_is_never_an_image_that_will_be_in_test(store: Store, tried: list[Sample]) -> None:
    config, said = settled(store, "data.test=0.5")
    [sample] = tried
    assert config.image.size == 32
    assert {getattr(config, section).augmentation.flip for section in TRAININGS} == {"horizontal"}
    assert any(line.endswith("= horizontal: flips are told") for line in said)
    assert 0.45 < (len(sample.train) + len(sample.held_out)) / len(sample.labels) < 0.55


@pytest.mark.parametrize(
    ("assignments", "sizes"),
    [
        ([], {32}),
        (["image.size=16"], {16}),
        (["image.size=224"], {32}),
        (["image.size=16", *(f"{section}.augmentation.flip=none" for section in TRAININGS)], None),
        ([f"{section}.augmentation.flip=none" for section in TRAININGS], None),  # images are stored too small for more
    ],
)
def test_only_what_is_not_given_is_tried(
    assignments: list[str], sizes: set[int] | None, store: Store, tried: list[Sample]
) -> None:
    settled(store, *assignments)
    assert [set(sample.pixels) for sample in tried] == ([sizes] if sizes else [])


@pytest.mark.parametrize(
    ("assignments", "keys"),
    [
        ([], set()),
        (["seed=0"], {"seed"}),
        (["distill.student=plain"], {"distill.student.name"}),
        (["distill.student.options.width=4"], {"distill.student.options.width"}),
        (["teacher.weights=none", "teacher.phases=[]"], {"teacher.weights", "teacher.phases"}),
        (["teacher.schedule.shape=cosine"], {"teacher.schedule.shape"}),
        (["data.source=digits"], {"data.source.name"}),
    ],
)
def test_which_keys_are_given(assignments: list[str], keys: set[str]) -> None:
    config = load(assignments=assignments)
    assert given_keys(config) == keys
    assert given_keys(updated(config, {"image.size": 48}, "a test")) == {*keys, "image.size"}


def test_config_prints_what_was_decided_ready_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path, "config", "--set", "teacher.batch_size=64") == 0
    printed = capsys.readouterr().out
    assert "# recipe: teacher.learning_rate = 0.06: 64 images per step\n" in printed
    (tmp_path / "printed.toml").write_text(printed)
    loaded: Any = load(tmp_path / "printed.toml")
    assert (loaded.recipe, loaded.teacher.learning_rate) == ("none", 0.06)


def test_config_refuses_broken_data_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images.npz").write_bytes(b"none")
    assert run_main(monkeypatch, tmp_path, "config", "--data", "images.npz") == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert "images.npz" in err


def test_whether_published_weights_can_be_had_is_asked_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = recipe.facts_of, []

    def photos(*given: Any) -> Facts:
        return dataclasses.replace(real(*given), sizes=((320, 240),), channels=3)

    def why_not(teacher: Any) -> str:
        asked.append(teacher.__name__)
        return "no answer"

    monkeypatch.setattr(recipe, "facts_of", photos)
    monkeypatch.setattr(recipe, "why_not", why_not)
    monkeypatch.setattr(recipe, "is_there", lambda teacher: False)
    first, said = settled(store, "image.size=64")
    assert first.teacher.weights == "none"
    assert "recipe: teacher.weights = none: published weights cannot be had: no answer" in said
    assert settled(store, "image.size=64", "prune.sparsity=0.9")[0].teacher == first.teacher
    assert asked == ["teachers.vgg16"]
    monkeypatch.setattr(recipe, "is_there", lambda teacher: True)
    assert settled(store, "image.size=64")[0].teacher.weights == "imagenet"
    assert asked == ["teachers.vgg16"]


def test_settings_that_were_settled_and_printed_have_the_same_keys(store: Store, tmp_path: Path) -> None:
    config, _ = settled(store)
    (tmp_path / "config.toml").write_text(to_toml(config))
    again = load(tmp_path / "config.toml")
    keys = [[step.key for step in runner.plan(PIPELINE, each, store)] for each in (config, again)]
    assert keys[0] == keys[1]


def test_a_run_prints_decisions_once_and_plan_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise typer.Exit

    monkeypatch.setattr("compress.commands.planning.settle_engines", lambda *_: {})  # nothing is timed
    monkeypatch.setattr("compress.course.Plan.estimates", stop)
    said = []
    for command in ("plan", "plan", "data", "data"):
        assert run_main(monkeypatch, tmp_path, command, "--set", "seed=1" if command == "data" else "seed=0") == 0
        said.append("recipe: teacher.learning_rate = 0.03: 32 images per step" in capsys.readouterr().out)
    assert said == [True, True, True, False]
