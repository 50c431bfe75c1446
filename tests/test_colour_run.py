"""The whole pipeline on colour images of two classes, in this process: nothing in it is made for grey digits alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress import cli
from compress.data.sources import digits
from tests.conftest import TINY


def red_or_blue() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return 80 noisy images of 32x32: more red in class 0, more blue in class 1."""
    labels = np.arange(80) % 2
    images = np.random.default_rng(0).integers(0, 128, (80, 32, 32, 3))
    images[labels == 0, ..., 0] += 100
    images[labels == 1, ..., 2] += 100
    return images.astype(np.uint8), labels, ("red", "blue")


def test_colour_images_of_two_classes_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "load", red_or_blue)
    monkeypatch.setattr(digits, "fingerprint", lambda: "colours")
    monkeypatch.chdir(tmp_path)
    few = ["teacher.epochs=2", "prune.epochs=1", "distill.epochs=2", "bench.seconds=0.1", "distill.views=1"]
    settings = [part for setting in few for part in ("--set", setting)]
    monkeypatch.setattr("sys.argv", ["compress", "all", "--config", str(TINY), *settings])

    with pytest.raises(SystemExit) as stop:
        cli.main()

    assert stop.value.code == 0
    bundle = tmp_path / "exported" / "digits"
    report = json.loads((bundle / "report.json").read_bytes())
    assert report["run"]["classes"] == ["red", "blue"]
    assert all(0 <= model["test"]["auc"] <= 1 for model in report["models"])
    Image.new("RGB", (50, 40), (255, 0, 0)).save(tmp_path / "image.png")
    lines = (bundle / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    command = [sys.executable, "-I", "-c", lines, str(tmp_path / "image.png")]
    answer = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=True).stdout
    assert answer.strip().split("\t")[1] in ("red", "blue")
