from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from rich.console import Console

from compress import estimate, forecast, runner
from compress.artifacts import Dataset, Exported, Network, Unbalanced
from compress.config import load
from compress.context import Context, Settings
from compress.metrics.cost import cost_of_onnx
from compress.pipeline import PIPELINE, Stage, link
from compress.progress import Progress
from compress.stages import prune, prune_student
from compress.store import Store

TRAINED = ("teacher", "prune", "distill", "prune_student")


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
    link((Stage("source", module(makes_network), 1), Stage("user", module(takes_network), 1)))


def test_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="stage user: no earlier stage source"):
        link((Stage("source", module(makes_network), 1), Stage("user", module(takes_dataset), 1)))


def test_an_input_that_is_made_later_is_refused() -> None:
    with pytest.raises(TypeError, match="stage user"):
        link((Stage("user", module(takes_network), 1), Stage("source", module(makes_network), 1)))


def test_a_renamed_input_is_that_of_the_named_stage() -> None:
    stages = (
        Stage("first", module(makes_network), 1),
        Stage("user", module(takes_network), 1, rename={"source": "first"}),
    )

    assert link(stages)[1].inputs == {"source": ("first",)}


class Shared(BaseModel):
    pass


def takes_settings(config: Config, shared: Shared, out: Path, context: Context) -> Network:
    raise NotImplementedError


def test_a_parameter_that_is_a_model_takes_the_section_of_its_name() -> None:
    stage = Stage("user", module(takes_settings), 1, section="mine")

    assert stage.sections == {"config": "mine", "shared": "shared"}
    assert stage.inputs == {}


def gathers_networks(config: Config, sources: tuple[Network, ...], out: Path, context: Context) -> Dataset:
    raise NotImplementedError


def test_a_tuple_of_a_type_takes_what_all_earlier_stages_make_of_it_in_order() -> None:
    stages = link(
        (
            Stage("first", module(makes_network), 1),
            Stage("all", module(gathers_networks), 1),
            Stage("second", module(takes_network), 1, rename={"source": "first"}),
            Stage("all_again", module(gathers_networks), 1),
        )
    )

    assert stages[1].inputs == {"sources": ("first",)}
    assert stages[3].inputs == {"sources": ("first", "second")}
    assert stages[3].sources == ("first", "second")


def test_a_tuple_of_what_no_earlier_stage_makes_is_refused() -> None:
    with pytest.raises(TypeError, match="stage all: no earlier stage makes a Network for its input sources"):
        link((Stage("all", module(gathers_networks), 1), Stage("first", module(makes_network), 1)))


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="stage first: there are two"):
        link((Stage("first", module(makes_network), 1), Stage("first", module(makes_network), 1)))


def test_what_could_be_deployed_is_gathered_and_results_of_control_arms_are_not() -> None:
    stages = {stage.name: stage for stage in PIPELINE}

    assert stages["export"].inputs["networks"] == ("teacher", "prune", "distill", "prune_student")
    assert stages["export"].inputs["quantized"] == ("quantize", "quantize_student")
    assert stages["unbalanced"].output_type is Unbalanced


def with_a_row_more() -> tuple[Stage, ...]:
    """The pipeline with a row more, whose network is then the one that is quantized."""
    rows = {stage.name: stage for stage in PIPELINE}
    position = list(rows).index("quantize_student")
    row = Stage("prune_again", prune, section="prune", rename={"network": "prune_student"}, estimate=estimate.of_prune)
    rest = [replace(rows["quantize_student"], rename={"network": "prune_again"}), *PIPELINE[position + 1 :]]
    return link((*PIPELINE[:position], row, *rest))


def test_a_row_more_is_planned_estimated_exported_and_in_the_keys_of_what_follows(tmp_path: Path) -> None:
    stages = with_a_row_more()
    settings, store = load(assignments=["image.size=32", "teacher.architecture.options.width=0.05"]), Store(tmp_path)
    before = {step.stage.name: step for step in runner.plan(PIPELINE, settings, store)}
    steps = {step.stage.name: step for step in runner.plan(stages, settings, store)}

    assert steps["export"].stage.inputs["networks"] == ("teacher", "prune", "distill", "prune_student", "prune_again")
    assert steps["quantize_student"].stage.inputs["network"] == ("prune_again",)
    assert [name for name, step in before.items() if steps[name].key != step.key] == [
        "quantize_student",
        "export",
        "bench",
        "report",
    ]
    facts = forecast.facts_of(settings, stages[0], None)
    costs = forecast.forecast(stages, settings, {}, facts, (), tmp_path / "speeds.json")
    networks = {name: [network.params for network in cost.networks] for name, cost in costs.items()}
    assert networks["prune_again"] == networks["distill"] != networks["prune"] == networks["teacher"]
    assert costs["export"].inference > costs["quantize_student"].inference > 0


def test_a_row_more_runs_with_no_other_file_changed_and_its_model_is_exported(tmp_path: Path) -> None:
    """With networks and data of a size at which nothing is learnt."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "few.npz", images=rng.integers(0, 256, (60, 8, 8, 1), np.uint8), labels=np.arange(60) % 2)
    settings: Any = load(
        assignments=[
            f"data.source={tmp_path / 'few.npz'}",
            "teacher={ architecture = { name = 'vgg11', options = { width = 0.02 } }, epochs = 1 }",
            "prune.epochs=1",
            "distill={ student = { options = { width = 4, blocks = 2 } }, epochs = 1, views = 1 }",
            *(f"{stage}.augmentation.{name}=0" for stage in TRAINED for name in ("shift", "rotation", "zoom")),
            "quantize.images=8",
            "export.tolerance=0.1",
            "train.precision=float32",
        ]
    )
    stages = with_a_row_more()
    stages = stages[: [stage.name for stage in stages].index("export") + 1]
    store, progress = Store(tmp_path / "store"), Progress(Console(quiet=True))

    entries = runner.execute(runner.plan(stages, settings, store), settings, Settings(), store, progress)

    exported: Exported = runner.load_artifact(stages[-1], entries[-1])
    assert [(model.id, model.stage) for model in exported.models] == [
        ("teacher-fp32", "teacher"),
        ("pruned-fp32", "prune"),
        ("pruned-int8", "quantize"),
        ("student-fp32", "distill"),
        ("student-pruned-fp32", "prune_again"),
        ("student-pruned-int8", "quantize_student"),
    ]
    assert cost_of_onnx(exported.models[4].file).sparsity > 0.75 > 0.1 > cost_of_onnx(exported.models[3].file).sparsity
    assert all(step.entry for step in runner.plan(stages, settings, store))


@pytest.mark.parametrize("enabled", [False, True])
def test_the_student_is_pruned_if_that_is_asked_for_and_otherwise_costs_nothing(enabled: bool, tmp_path: Path) -> None:
    settings = load(assignments=["image.size=32", f"prune_student.enabled={str(enabled).lower()}"])
    facts = forecast.facts_of(settings, PIPELINE[0], None)

    costs = forecast.forecast(PIPELINE, settings, {}, facts, (), tmp_path / "speeds.json")

    assert (costs["prune_student"].seconds > 0) == enabled
    assert (costs["prune_student"].networks == costs["distill"].networks) != enabled


def test_settings_of_a_student_that_is_not_pruned_are_not_in_the_key() -> None:
    def key_settings(**settings: Any) -> dict[str, Any]:
        return prune_student.Config(**settings).key_settings()

    assert key_settings(target=0.1, epochs=9) == key_settings()
    assert key_settings(enabled=True, target=0.1) != key_settings(enabled=True) != key_settings()
