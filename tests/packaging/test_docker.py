from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from compress.arrays import load_arrays
from compress.bundle.manifest import read_manifest
from compress.packaging.docker import NEEDED
from compress.packaging.package import package
from tests.conftest import Run

ABSENT = ("tensorflow", "tf_keras", "onnx", "tf2onnx", "sklearn", "scipy", "h5py", "jinja2", "psutil", "zstandard")
WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')))\nfrom compress import cli\ncli.main()"
)


def test_what_the_image_copies_classifies_with_what_it_installs(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")
    golden = load_arrays(tiny_run.bundle / "golden.npz")
    Image.fromarray(golden["images"][0][..., 0]).save(tmp_path / "one.png")

    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(ABSENT), "predict", "bundle", str(tmp_path / "one.png")],
        cwd=out,
        env={"PYTHONPATH": str(out)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\t")[1].split()[0] == str(np.argmax(golden["logits"][0]))


def test_the_requirements_are_those_of_serving_with_the_packages_own_bounds(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")

    lines = (out / "requirements.txt").read_text().splitlines()
    assert {re.split(r"[^\w-]", line)[0] for line in lines} >= set(NEEDED)
    assert all("<" in line and "extra" not in line for line in lines)
    assert not [line for line in lines if line.startswith(("tensorflow", "scikit", "onnx>", "onnx<"))]


def test_the_image_copies_what_is_there_and_runs_as_nobody(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")

    steps = [line.split() for line in (out / "Dockerfile").read_text().splitlines()]
    copied = [step[1] for step in steps if step[:1] == ["COPY"]]
    assert copied == ["requirements.txt", "compress", "bundle"]
    assert all((out / name).exists() for name in copied)
    assert {f"!{name}" for name in copied} < set((out / ".dockerignore").read_text().splitlines())
    assert ["USER", "10001:10001"] in steps
    python = ".".join(read_manifest(tiny_run.bundle)["versions"]["python"].split(".")[:2])
    assert ["FROM", f"python:{python}-slim"] in steps
    assert not list(out.rglob("__pycache__"))
