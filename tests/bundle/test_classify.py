"""The program that every bundle carries, in a folder that holds only what it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from compress.bundle.write import programs

PREPARATION = {"size": 4, "fit": "stretch", "channels": 1, "background": [0, 0, 0]}
LABELS = ["one", "two\u2028or three", "four"]  # one line each, as labels.txt has them


def write_bundle(folder: Path, weights: list[float]) -> Path:
    """Write a model whose probabilities for any image are those numbers, kept as external data."""
    folder.mkdir()
    for name, source in programs().items():
        shutil.copyfile(source, folder / name)
    (folder / "manifest.json").write_text(json.dumps({"image": PREPARATION}))
    (folder / "labels.txt").write_bytes("".join(f"{label}\n" for label in LABELS).encode())
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["x"], ["sum"]),
        helper.make_node("Flatten", ["sum"], ["one"]),
        helper.make_node("Mul", ["one", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "weights"], ["probabilities"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        numpy_helper.from_array(np.array(weights, np.float32), "weights"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 4, 4, 1])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(weights)])
    graph = helper.make_graph(nodes, "classifier", [image], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder


def classify(bundle: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    Image.new("L", (8, 8)).save(folder / "image.png")
    command = [sys.executable, "-X", "utf8", str(bundle / "classify.py"), "image.png"]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_external_data_are_those_beside_the_model_not_those_of_the_current_folder(tmp_path: Path) -> None:
    bundle, other = write_bundle(tmp_path / "bundle", [0, 1, 0]), write_bundle(tmp_path / "other", [1, 0, 0])

    assert classify(bundle, other).stdout == f"image.png\t{LABELS[1]}\n"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_are_an_error(value: float, tmp_path: Path) -> None:
    result = classify(write_bundle(tmp_path / "bundle", [0, value, 0]), tmp_path)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "image.png: the model's probabilities are not finite\n"
