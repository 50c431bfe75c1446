from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from benchmarks.small_models import write_model
from compress.latency import cold_start, timing
from compress.onnx_tools import sessions
from tests.commands.conftest import Refused
from tests.conftest import run_compress, run_main


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "RUNS", 1)
    monkeypatch.setattr(timing, "WARM_UP_SECONDS", 0.0)


@pytest.fixture
def folder(folder: Path) -> Path:
    write_model(folder / "other.onnx", layers=3)
    (folder / "bundle").mkdir()
    write_model(folder / "bundle" / "model.onnx")
    return folder


def bench(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    return run_main(monkeypatch, folder, "bench", *arguments, "--seconds", "0.05")


def test_every_model_is_measured_in_every_setting_and_the_samples_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("compress.machine.available_cores", lambda: 2)
    options = ["--batches", "1,4", "--threads", "2,1", "--json", "bench.json"]

    assert bench(monkeypatch, folder, "other.onnx", "bundle", *options) == 0

    report = json.loads((folder / "bench.json").read_bytes())
    assert [model["name"] for model in report["models"]] == ["other", "bundle"]
    for model in report["models"]:
        rows = model["latencies"]
        assert [(row["threads"], row["batch"]) for row in rows] == [(1, 1), (1, 4), (2, 1), (2, 4)]
        assert all(min(row["samples_ns"]) > 0 for row in rows)
        assert model["nodes"].keys() == {"CPUExecutionProvider"}
        assert model["alone"][0]["first_run_ns"] > 0
        assert len(model["sha256"]) == 64
        assert model["batches"] == [1, 4]
        assert model["fed"] == [{"batch": n, "shapes": {"image": [n, 8, 8, 1]}} for n in (1, 4)]
    assert report["host"].keys() >= {"processor", "flags", "cores", "cgroup_cpu", "governor", "load", "onnxruntime"}
    said = capsys.readouterr().out
    assert "cold start" in said
    assert "bundle was fed image 1x8x8x1 (batch 1); image 4x8x8x1 (batch 4)" in said


@pytest.mark.parametrize(
    ("options", "shape"),
    [(["--shape", "x=1x3x9x7"], [1, 3, 9, 7]), (["--inputs", "x.npz"], [2, 3, 5, 4])],
)
def test_shapes_that_a_file_leaves_open_are_given_by_options_for_new_processes_too(
    options: list[str], shape: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(folder / "x.npz", x=np.zeros((2, 3, 5, 4), np.float32))

    assert bench(monkeypatch, folder, "free.onnx", *options, "--batches", "1", "--json", "bench.json") == 0

    report = json.loads((folder / "bench.json").read_bytes())
    assert report["models"][0]["fed"] == [{"batch": shape[0], "shapes": {"x": shape}}]
    assert report["models"][0]["alone"]


@pytest.mark.parametrize(
    ("arguments", "spinning"),
    [
        (["model.onnx"], True),
        (["model.onnx", "other.onnx"], False),
        (["model.onnx", "--compare", "openvino"], False),
    ],
)
def test_idle_threads_spin_only_where_nothing_beside_is_disturbed(
    arguments: list[str], spinning: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def open_session(file: Path, *, spinning: bool, **options: Any) -> Any:
        asked.append(spinning)
        return sessions.open_session(file, spinning=spinning, **options)

    monkeypatch.setattr("compress.latency.model_files.open_session", open_session)

    assert bench(monkeypatch, folder, *arguments, "--batches", "1", "--threads", "1", "--json", "bench.json") == 0

    assert set(asked) == {spinning}
    assert json.loads((folder / "bench.json").read_bytes())["settings"]["spinning"] is spinning


def test_without_a_model_it_is_the_stage_with_the_settings_of_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, float]] = []
    monkeypatch.setattr(
        "compress.commands.run.run_up_to", lambda last, config: ran.append((last, config.bench.seconds))
    )

    assert run_main(monkeypatch, folder, "bench", "--set", "bench.seconds=3") == 0

    assert ran == [("bench", 3.0)]


def test_files_are_measured_without_tensorflow_and_without_the_pipeline(folder: Path) -> None:
    code = (
        "import sys; from compress import cli; from compress.latency import cold_start\n"
        "sys.argv, cold_start.RUNS = ['compress', *sys.argv[1:]], 1\n"
        "try: cli.main()\n"
        "finally: print({'tensorflow', 'compress.pipeline', 'compress.config'} & set(sys.modules), file=sys.stderr)"
    )
    options = ["--seconds", "0.1", "--batches", "1", "--threads", "1"]

    result = run_compress(folder, "bench", "model.onnx", *options, python=("-c", code))

    assert (result.returncode, result.stderr.splitlines()) == (0, ["set()"])


FALLS_BACK = "azure"  # a provider of onnxruntime as it is installed that runs no node itself


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        pytest.param("tensorrt", "has no TensorrtExecutionProvider", id="absent"),
        pytest.param(
            FALLS_BACK,
            "model.onnx: AzureExecutionProvider cannot run all of it",
            id="falls back",
            marks=pytest.mark.skipif(
                "AzureExecutionProvider" not in onnxruntime.get_available_providers(), reason="has no such provider"
            ),
        ),
    ],
)
def test_a_provider_that_is_absent_or_falls_back_gives_one_line_exit_code_4_and_no_figure(
    provider: str, expected: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = bench(monkeypatch, folder, "model.onnx", "--provider", provider, "--json", "bench.json")

    said = capfd.readouterr()
    assert (code, said.out.strip(), len(said.err.splitlines())) == (4, "", 1), said
    assert expected in said.err
    assert not (folder / "bench.json").exists()


BAD: list[tuple[str, list[str], str]] = [
    ("no such file", ["none.onnx"], "none.onnx: no such file"),
    ("folder that is no bundle", ["empty"], "empty: holds no model.onnx"),
    ("file that is no model", ["text.onnx"], "text.onnx: not an ONNX model that onnxruntime can run"),
    ("model that fails", ["failing.onnx"], "failing.onnx: fails to run on image (1, 8, 8, 1)"),
    ("no threads", ["model.onnx", "--threads", "0"], "--threads 0: should be 1 to"),
    ("threads that are no number", ["model.onnx", "--threads", "all"], "--threads all: should be whole numbers"),
    ("no batch", ["model.onnx", "--batches", "0,1"], "--batches 0,1: should be 1 to 4096"),
    ("batch below nothing", ["model.onnx", "--batches", "-8"], "--batches -8: should be 1 to 4096"),
    ("batches that are no numbers", ["model.onnx", "--batches", "1,,2"], "--batches 1,,2: should be whole numbers"),
    ("no time", ["model.onnx", "--seconds", "0"], "--seconds 0: should be above 0"),
    ("unknown provider", ["model.onnx", "--provider", "abacus"], "--provider abacus: should be one of"),
    ("unknown peer", ["model.onnx", "--compare", "openvino,abacus"], "--compare abacus: should be of openvino, litert"),
    ("peer on a GPU", ["model.onnx", "--compare", "openvino", "--provider", "cuda"], "other runtimes run on the CPU"),
    ("one file twice", ["model.onnx", "./model.onnx"], "model.onnx: is given twice"),
    ("shape that is none", ["model.onnx", "--shape", "image=axb"], "--shape image=axb: should be NAME=1x3x224x224"),
    ("shape of nothing", ["model.onnx", "--shape", "image=0x8x8x1"], "each number at least 1"),
    ("two shapes", ["model.onnx", "--shape", "a=1", "--shape", "a=2"], "--shape a=2: a is given twice"),
    ("shape of no input", ["model.onnx", "--shape", "a=1"], "--shape: no input is named a; should be of image"),
    (
        "shape that does not fit",
        ["model.onnx", "--shape", "image=1x9x8x1"],
        "input image of model.onnx should be uint8 (batch, 8, 8, 1), but (1, 9, 8, 1) is given",
    ),
    ("no such inputs", ["model.onnx", "--inputs", "none.npz"], "--inputs none.npz: cannot be read as .npz"),
    ("inputs of no .npz", ["model.onnx", "--inputs", "text.onnx"], "--inputs text.onnx: cannot be read as .npz"),
    ("free height", ["free.onnx"], "such as --shape x=1x3x224x224, or by --inputs FILE.npz"),
    ("option of a run", ["model.onnx", "--preset", "digits"], "--preset: bench takes it only without MODEL"),
    ("option of files", ["--threads", "1"], "--threads: bench takes it only with MODEL"),
]


@pytest.mark.parametrize(("arguments", "expected"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gives_one_line_and_exit_code_2(arguments: list[str], expected: str, refused: Refused) -> None:
    assert expected in refused("bench", *arguments)
