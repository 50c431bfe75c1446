from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.pipeline import PIPELINE, Stage, check


class Config(BaseModel):
    pass


def module(run: object) -> ModuleType:
    made = ModuleType("toy")
    made.run, made.Config = run, Config  # type: ignore[attr-defined]
    return made


def makes_network(config: Config, out: Path, context: Context) -> Network:
    raise NotImplementedError


def takes_dataset(config: Config, source: Dataset, out: Path, context: Context) -> Network:
    raise NotImplementedError


def takes_network(config: Config, source: Network, out: Path, context: Context) -> Network:
    raise NotImplementedError


def test_an_input_that_an_earlier_stage_makes_is_accepted() -> None:
    check((Stage("source", module(makes_network), 1), Stage("user", module(takes_network), 1)))


def test_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="stage user: no earlier stage source"):
        check((Stage("source", module(makes_network), 1), Stage("user", module(takes_dataset), 1)))


def test_an_input_that_is_made_later_is_refused() -> None:
    with pytest.raises(TypeError, match="stage user"):
        check((Stage("user", module(takes_network), 1), Stage("source", module(makes_network), 1)))


def test_a_renamed_input_is_that_of_the_named_stage() -> None:
    stages = (
        Stage("first", module(makes_network), 1),
        Stage("user", module(takes_network), 1, rename={"source": "first"}),
    )

    assert check(stages)[1].inputs == {"source": "first"}


class Shared(BaseModel):
    pass


def takes_settings(config: Config, shared: Shared, out: Path, context: Context) -> Network:
    raise NotImplementedError


def test_a_parameter_that_is_a_model_takes_the_section_of_its_name() -> None:
    stage = Stage("user", module(takes_settings), 1, section="mine")

    assert stage.sections == {"config": "mine", "shared": "shared"}
    assert stage.inputs == {}


def test_the_shares_of_the_pipeline_add_up_to_one() -> None:
    assert sum(stage.share for stage in PIPELINE) == pytest.approx(1)
