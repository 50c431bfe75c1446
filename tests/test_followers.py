from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from compress import machine
from compress.config import load
from compress.context import Decision
from compress.errors import BadInputError, MachineError
from compress.followers import as_decided, keys_of, will_train
from compress.pipeline import Stage
from tests.toy import Toy


@pytest.fixture(autouse=True)
def _both_stages_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "trains", True)


def test_a_run_trains_unless_all_that_trains_is_finished_and_made_from_the_same(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert will_train(toy.plan())
    toy.execute()
    assert not will_train(toy.plan())
    monkeypatch.setattr(Stage, "trains", property(lambda stage: stage.name == "source"))
    [folder] = (toy.store.finished / "user").iterdir()
    (folder / "model").unlink()
    assert not will_train(toy.plan())
    monkeypatch.setattr(Stage, "trains", True)
    assert will_train(toy.plan())


def test_a_training_is_made_again_if_its_input_came_out_different(toy: Toy) -> None:
    toy.execute()
    [folder] = (toy.store.finished / "source").iterdir()
    (folder / "file").unlink()
    toy.byte = b"y"
    toy.pipeline = toy.pipeline[:1]
    toy.execute()
    toy.pipeline = Toy(toy.store.finished.parent).pipeline

    steps = toy.plan()

    assert all(step.entry for step in steps)
    assert will_train(steps)


def test_who_follows_takes_no_part_in_what_is_finished(toy: Toy) -> None:
    toy.execute()
    toy.follow(keys_of(toy.plan()))

    assert toy.runs == ["source", "user"]


def test_who_follows_trains_once_and_then_watches_the_chief(toy: Toy) -> None:
    def chief_is_gone() -> None:
        raise MachineError("the chief is gone")

    with pytest.raises(MachineError, match="the chief is gone"):
        toy.follow(keys_of(toy.plan()), chief_is_gone)

    assert toy.runs == ["source"]


def test_what_would_make_something_else_than_the_chief_is_refused_with_what_should_be_the_same(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of(toy.plan())
    monkeypatch.setattr(machine, "device_class", lambda: "gpu")

    with pytest.raises(
        BadInputError, match=r"^source: this process .* libraries and kind of device should be the same"
    ):
        toy.follow(keys)

    assert toy.runs == []


def test_who_follows_takes_what_the_chiefs_recipe_has_decided() -> None:
    told = json.loads(json.dumps([asdict(Decision("image.size", [32, 64], "why"))]))
    config: Any = as_decided(load(assignments=["seed=3"]), told)
    assert (config.seed, config.recipe, config.image.size) == (3, "none", (32, 64))
    alone = load(assignments=["recipe=none"])
    assert as_decided(alone, told) is alone
