"""A bundle made before images could be rectangles, when `size` in its manifest was always one side."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import compress
from compress.bundle.evaluate import evaluate
from compress.bundle.verify import verify
from compress.data.samples import Pixels, Samples
from compress.packaging.package import package
from tests.conftest import run_main


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    shutil.unpack_archive(Path(__file__).with_name("square_bundle.zip"), tmp_path)
    return tmp_path / "square"


def test_an_earlier_bundle_verifies_and_predicts_as_its_own_program_does(earlier: Path) -> None:
    assert json.loads((earlier / "manifest.json").read_bytes())["image"]["size"] == 32
    picture = earlier.parent / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)).save(picture)

    assert any(line.startswith("16 golden images on CPUExecutionProvider") for line in verify(earlier))
    classifier = compress.load(earlier)
    assert classifier.input_shape == (32, 32, 3)
    [prediction] = classifier.predict(picture)
    command = [sys.executable, str(earlier / "classify.py"), str(picture)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip().split("\t") == [str(picture), prediction.label]


def test_an_earlier_bundle_is_evaluated_and_what_it_does_not_see_is_said(earlier: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 40, 70, 3), np.uint8)
    said: list[str] = []

    samples = Samples(("dark", "light"), np.array([0, 1, 0, 1]), Pixels(images))
    metrics = evaluate(compress.load(earlier), samples, "photos", said.append)

    assert metrics.n == 4
    assert said == ["photos: image.fit = crop cuts away 43 % of an image"]


def test_an_earlier_bundle_is_packaged(earlier: Path, tmp_path: Path) -> None:
    layout = package(earlier, "triton", tmp_path / "triton")

    assert "dims: [ 32, 32, 3 ]" in (layout / "square" / "config.pbtxt").read_text()


def test_the_settings_of_an_earlier_bundle_load(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, earlier.parent, "config", "--config", "square/config.toml", "--data", "digits") == 0
    assert "\nsize = 32\n" in capsys.readouterr().out
