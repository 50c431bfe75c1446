from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.small_models import write_quantized
from compress.onnx_tools import inspect
from compress.onnx_tools.providers import CPU
from tests.commands.conftest import Refused
from tests.conftest import run_compress, run_main


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "SECONDS", 0.0)


@pytest.fixture
def folder(folder: Path) -> Path:
    write_quantized(folder / "quantized.onnx")
    return folder


def test_what_models_run_as_is_shown_summed_up_and_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, folder, "inspect", "quantized.onnx", "model.onnx", "--json", "found.json") == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("quantized: 1 of 2 products run as int8 (not head); 3 conversions take ")
    assert said[-1].startswith("model: 0 of 1 product runs as int8; 1 conversion takes ")
    assert "quantized was fed x 1x2x6x6" in said
    assert any(line.split()[:3] == ["QLinearConv", "CPU", "int8"] for line in said)
    assert any(line.split()[:4] == ["DequantizeLinear", "weights", "weights", "Gemm"] for line in said)
    report = json.loads((folder / "found.json").read_bytes())
    assert report["settings"] == {"provider": CPU, "threads": 1}
    quantized, model = report["models"]
    assert (quantized["name"], quantized["fed"], len(quantized["sha256"])) == ("quantized", {"x": [1, 2, 6, 6]}, 64)
    assert quantized["kernels"]["other_products"] == ["head"]
    assert sum(row["share"] for row in quantized["kernels"]["kinds"]) == pytest.approx(1, abs=0.01)
    assert model["kernels"]["left"][0].keys() == {"operator", "tensor", "after", "before", "us"}


@pytest.mark.parametrize(
    ("options", "shape"), [(["--shape", "x=1x3x9x7"], "1x3x9x7"), (["--inputs", "x.npz"], "2x3x5x4")]
)
def test_what_a_file_leaves_open_is_given_by_options(
    options: list[str],
    shape: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(folder / "x.npz", x=np.zeros((2, 3, 5, 4), np.float32))

    assert run_main(monkeypatch, folder, "inspect", "free.onnx", *options) == 0

    assert f"free was fed x {shape}" in capsys.readouterr().out


def test_files_are_inspected_without_tensorflow_and_without_the_pipeline(folder: Path) -> None:
    code = (
        "import sys; from compress import cli; from compress.onnx_tools import inspect\n"
        "sys.argv, inspect.SECONDS = ['compress', *sys.argv[1:]], 0.0\n"
        "try: cli.main()\n"
        "finally: print({'tensorflow', 'compress.pipeline', 'compress.config'} & set(sys.modules), file=sys.stderr)"
    )

    result = run_compress(folder, "inspect", "model.onnx", python=("-c", code))

    assert (result.returncode, result.stderr.splitlines()) == (0, ["set()"])


def test_a_provider_that_is_absent_gives_one_line_and_exit_code_4(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_main(monkeypatch, folder, "inspect", "model.onnx", "--provider", "tensorrt")

    said = capsys.readouterr()
    assert (code, said.out, len(said.err.splitlines())) == (4, "", 1), said
    assert "has no TensorrtExecutionProvider" in said.err


BAD: list[tuple[str, list[str], str]] = [
    ("no model", [], "Missing argument 'MODEL'"),
    ("no such file", ["none.onnx"], "none.onnx: no such file"),
    ("folder that is no bundle", ["empty"], "empty: holds no model.onnx"),
    ("file that is no model", ["text.onnx"], "text.onnx: not an ONNX model that onnxruntime can run"),
    ("model that fails", ["failing.onnx"], "failing.onnx: fails to run on image (1, 8, 8, 1)"),
    ("one file twice", ["model.onnx", "./model.onnx"], "model.onnx: is given twice"),
    ("no threads", ["model.onnx", "--threads", "0"], "--threads 0: should be 1 to"),
    ("unknown provider", ["model.onnx", "--provider", "abacus"], "--provider abacus: should be one of"),
    ("shape that is none", ["model.onnx", "--shape", "image=axb"], "--shape image=axb: should be NAME=1x3x224x224"),
    ("shape of no input", ["model.onnx", "--shape", "a=1"], "--shape: no input is named a; should be of image"),
    (
        "shape that does not fit",
        ["model.onnx", "--shape", "image=1x9x8x1"],
        "input image of model.onnx should be uint8 (batch, 8, 8, 1), but (1, 9, 8, 1) is given",
    ),
    ("no such inputs", ["model.onnx", "--inputs", "none.npz"], "--inputs none.npz: cannot be read as .npz"),
    ("free height", ["free.onnx"], "such as --shape x=1x3x224x224, or by --inputs FILE.npz"),
    ("file that cannot be written", ["model.onnx", "--json", "none/found.json"], "--json none/found.json"),
]


@pytest.mark.parametrize(("arguments", "expected"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gives_one_line_and_exit_code_2(arguments: list[str], expected: str, refused: Refused) -> None:
    assert expected in refused("inspect", *arguments)
