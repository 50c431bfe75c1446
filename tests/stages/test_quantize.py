from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import plugins
from compress.artifacts import Dataset, Network, OnnxModel
from compress.config import load
from compress.context import Context
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session
from compress.quantization import choice, static
from compress.stages import quantize


def test_it_calibrates_on_training_images_alone_and_on_no_more_than_are_set(
    network: Network, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    real = static.observing

    def recorded(model: OnnxModel, images: np.ndarray, folder: Path) -> Any:
        seen.append(images)
        return real(model, images, folder)

    monkeypatch.setattr(static, "observing", recorded)

    quantize.run(quantize.Config(images=5), network, data, tmp_path, context)
    quantize.run(quantize.Config(images=500), network, data, tmp_path, context)

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
        name: quantize.run(quantize.Config(calibration=value), network, data, folders[name], context)
        for name, value in zip(names, (several, "minmax", several[0]), strict=True)
    }

    images = images_of(data, "validation")[:]
    logits = {name: scoring.run(open_session(models.of("int8").file), images) for name, models in made.items()}
    np.testing.assert_array_equal(logits["several"], logits["minmax"])
    assert (logits["several"] != logits["percentile"]).any()
    assert sorted(path.name for path in folders["several"].iterdir()) == ["fp32.onnx", "int8.onnx"]
    [note] = notes
    assert note.startswith("here: calibration minmax: of percentile (percent=1.0) ")
    assert [(trial.what, trial.taken) for trial in made["several"].trials] == [
        ("calibration percentile (percent=1.0)", False),
        ("calibration minmax", True),
    ]
    assert made["minmax"].trials == ()
    found = choice.divergences(made["minmax"].of("fp32"), [made[name].of("int8") for name in names[1:]], images)
    assert 0 <= found[0] < found[1]
    assert f"percentile (percent=1.0) {found[1]:.2g}, minmax {found[0]:.2g}" in note


def test_a_model_diverges_from_itself_by_nothing(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    fp32 = quantize.run(quantize.Config(images=5), network, data, tmp_path, context).of("fp32")

    assert choice.divergences(fp32, [fp32], images_of(data, "validation")) == [0.0]


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
