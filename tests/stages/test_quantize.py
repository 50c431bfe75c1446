from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import fingerprint, plugins
from compress.artifacts import Dataset, Network, OnnxModel
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.onnx_tools import scoring
from compress.onnx_tools.convert import to_onnx
from compress.onnx_tools.sessions import open_session
from compress.quantization import candidates, choice
from compress.stages import quantize


def test_it_calibrates_on_training_images_alone_and_on_no_more_than_are_set(
    network: Network, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    real = candidates.observed

    def recorded(model: OnnxModel, images: np.ndarray, folder: Path) -> Any:
        seen.append(images)
        return real(model, images, folder)

    monkeypatch.setattr(candidates, "observed", recorded)

    quantize.run(quantize.Config(images=5), Balance(), network, data, tmp_path, context)
    quantize.run(quantize.Config(images=500), Balance(), network, data, tmp_path, context)

    train = images_of(data, "train")[:]
    np.testing.assert_array_equal(seen[0], train[:5])
    np.testing.assert_array_equal(seen[1], train)


def test_of_several_calibrators_the_one_whose_answers_differ_least_is_taken_and_said(
    network: Network, data: Dataset, context: Context, notes: list[str], tmp_path: Path
) -> None:
    several: Any = ({"name": "percentile", "options": {"percent": 1.0}}, "minmax")
    names = ("several", "minmax", "percentile")
    folders = {name: tmp_path / name for name in names}
    for folder in folders.values():
        folder.mkdir()

    made = {
        name: quantize.run(quantize.Config(calibration=value), Balance(), network, data, folders[name], context)
        for name, value in zip(names, (several, "minmax", several[0]), strict=True)
    }

    images = images_of(data, "validation")[:]
    logits = {name: scoring.run(open_session(models.of("int8").file), images) for name, models in made.items()}
    np.testing.assert_array_equal(logits["several"], logits["minmax"])
    assert (logits["several"] != logits["percentile"]).any()
    assert sorted(path.name for path in folders["several"].iterdir()) == ["fp32.onnx", "int8.onnx"]
    [note] = (note for note in notes if "calibration" in note)
    assert note.startswith("here: calibration minmax: of percentile (percent=1.0) ")
    assert [(trial.what, trial.taken) for trial in made["several"].trials] == [
        ("calibration percentile (percent=1.0)", False),
        ("calibration minmax", True),
    ]
    assert made["minmax"].trials == ()
    wanted = choice.logits_of(made["minmax"].of("fp32"), images)
    given = [choice.logits_of(made[name].of("int8"), images) for name in names[1:]]
    found = [choice.divergence(wanted, logits) for logits in given]
    assert 0 <= found[0] < found[1]
    assert f"percentile (percent=1.0) {found[1]:.2g}, minmax {found[0]:.2g}" in note


@pytest.mark.parametrize(
    ("wanted", "given", "nats", "decibels"),
    [
        ([[3.0, -1.0], [0.0, 2.0]], [[3.0, -1.0], [0.0, 2.0]], 0.0, 150.0),
        ([[0.0, 0.0]], [[np.log(3.0), 0.0]], np.log(4 / 3) / 2, 0.0),
        ([[7.0, 7.0]], [[7.0, 6.9]], np.log((1 + np.exp(-0.1)) / 2) + 0.05, 10 * np.log10(98 / 0.01)),
    ],
)
def test_how_far_logits_are_from_those_that_were_wanted(
    wanted: list[list[float]], given: list[list[float]], nats: float, decibels: float
) -> None:
    assert choice.divergence(np.array(wanted), np.array(given)) == pytest.approx(nats)
    assert choice.signal_to_noise(np.array(wanted), np.array(given)) == pytest.approx(decibels)


def test_int8_that_loses_too_much_is_said_and_all_that_was_tried_kept(
    network: Network,
    data: Dataset,
    context: Context,
    notes: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where int8 takes every class for another, no calibrator helps, and only layers in float can."""
    real = candidates.logits_of

    def wrong(model: OnnxModel, images: np.ndarray) -> np.ndarray:
        logits = real(model, images)
        return -logits if model.precision == "int8" else logits

    monkeypatch.setattr(candidates, "logits_of", wrong)
    fp32 = to_onnx(network, tmp_path / "float.onnx")
    told = scoring.run(open_session(fp32.file), images_of(data, "validation")).argmax(axis=1)
    monkeypatch.setattr(Dataset, "labels", lambda self, split: told)

    made = quantize.run(quantize.Config(images=5, max_drop=0.5), Balance(), network, data, tmp_path, context)

    note, _ = notes
    assert re.fullmatch(
        r"here: calibration .*: \+100.00 points of validation accuracy lost, the best of \d+ ways tried: "
        r"max_drop = 0.5 is missed",
        note,
    )
    assert sum(trial.taken for trial in made.trials) == 1
    assert [trial.score for trial in made.trials] == [0.0] * len(made.trials)
    assert {"block1_conv1", "logits"} <= {damage.layer for damage in made.damages}
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == ["float.onnx", "fp32.onnx", "int8.onnx"]


def test_int8_that_loses_nothing_is_taken_as_it_is(
    network: Network, data: Dataset, context: Context, notes: list[str], tmp_path: Path
) -> None:
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    for folder in (plain, kept):
        folder.mkdir()
    quantize.run(quantize.Config(images=5), Balance(), network, data, plain, context)
    quantize.run(quantize.Config(images=5, max_drop=99), Balance(), network, data, kept, context)

    images = images_of(data, "validation")[:]
    first, second = (scoring.run(open_session(folder / "int8.onnx"), images) for folder in (plain, kept))
    np.testing.assert_array_equal(first, second)
    [_, note, _] = notes
    assert re.fullmatch(r"here: calibration minmax: [+-]\d+\.\d\d points of validation accuracy lost", note)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("minmax", ["minmax"]),
        ("auto", plugins.names("compress.quantization.calibrators")),
        ('["mse", {name = "percentile", options = {percent = 99.9}}]', ["mse", "percentile"]),
    ],
)
def test_one_calibrator_several_or_all_can_be_named(written: str, names: list[str]) -> None:
    config: Any = load(assignments=["recipe=none", f"quantize.calibration={written}"])

    assert [each.name for each in config.quantize.calibration] == names


@pytest.mark.parametrize("written", ["-1", "0", "100", "some", "true"])
def test_a_budget_that_is_none_is_refused_in_a_line(written: str) -> None:
    with pytest.raises(BadInputError, match="should be none, or points above 0 and below 100") as refused:
        load(assignments=["recipe=none", f"quantize.max_drop={written}"])

    assert "quantize.max_drop" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("minmux", "did you mean minmax"),
        ("[]", "should be auto, a calibrator, or a list of them"),
        ("7", "should be auto, a calibrator, or a list of them"),
        ('["mse", "mse"]', "names a calibrator twice"),
        ('{name = "percentile", options = {percent = 0}}', "greater than 0"),
        ('{name = "moving_average", options = {momentum = 1.0}}', "less than 1"),
    ],
)
def test_what_is_no_calibrator_is_refused_in_a_line(written: str, right: str) -> None:
    with pytest.raises(BadInputError, match=right) as refused:
        load(assignments=["recipe=none", f"quantize.calibration={written}"])

    assert "quantize.calibration" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_layers_whose_sums_can_be_clipped_are_said_with_what_it_changes(
    network: Network,
    data: Dataset,
    context: Context,
    notes: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few, more = tmp_path / "few", tmp_path / "more"
    for folder in (few, more):
        folder.mkdir()
    quantize.run(quantize.Config(images=5, target="this"), Balance(), network, data, few, context)
    assert "accuracy" not in notes.pop()  # on six images it says nothing
    monkeypatch.setattr(quantize, "FEWEST", 6)

    made = quantize.run(quantize.Config(images=5, target="this"), Balance(), network, data, more, context)

    [note] = notes
    assert note.startswith("here: x86 processors without VNNI")
    assert " can clip sums in " in note
    assert "on 6 validation images, accuracy " in note
    assert note.endswith("; target = x86-any makes it the same on all")
    assert [model.target for model in made.models] == ["", "this"]


def test_for_any_x86_the_layers_with_7_bits_are_said(
    network: Network, data: Dataset, context: Context, notes: list[str], tmp_path: Path
) -> None:
    made = quantize.run(quantize.Config(images=5), Balance(), network, data, tmp_path, context)

    [note] = notes
    assert note.endswith(" have 7 bits, so that no x86 processor clips their sums")
    assert made.of("int8").target == "x86-any"


@pytest.mark.parametrize(
    ("target", "integers"), [("this", "uint8"), ("x86-any", "uint8"), ("arm", "int8"), ("tensorrt", "int8")]
)
def test_activations_are_by_default_what_the_target_is_fastest_with(target: Any, integers: str) -> None:
    assert quantize.Config(target=target).integers == integers


def test_activations_can_be_set_where_the_target_takes_both() -> None:
    assert quantize.Config(activations="int8").integers == "int8"


@pytest.mark.parametrize(("target", "activations"), [("arm", "uint8"), ("tensorrt", "uint8")])
def test_activations_that_the_target_does_not_take_are_refused_in_a_line(target: str, activations: str) -> None:
    with pytest.raises(BadInputError, match="or auto, with target") as refused:
        load(assignments=["recipe=none", f"quantize.target={target}", f"quantize.activations={activations}"])

    assert f"activations = '{activations}'" in str(refused.value)
    assert f"'{target}'" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_int8_is_tried_with_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budgeted = quantize.Config(max_drop=0.5)

    modules = fingerprint._closure(["compress.stages.quantize"])
    assert {f"compress.quantization.cures.{cure}" for cure in ("equalization", "float_layers")} <= set(modules)
    before = quantize.fingerprint(budgeted, tmp_path)
    assert quantize.fingerprint(quantize.Config(), tmp_path) == ""
    monkeypatch.setattr(plugins, "names", lambda package: ["minmax"])
    assert quantize.fingerprint(budgeted, tmp_path) != before
