from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from onnx import TensorProto

from benchmarks.small_models import write_identity, write_model
from tests.conftest import REPOSITORY, run_compress

SUITE = """
def test_speed(latency_gate):
    latency_gate("{candidate}", {baseline}max_regression={margin})
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own, with no plugin but ours."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "compress.latency.gate.pytest_plugin",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    # The worker of a test suite that runs this one has variables of pytest-xdist, which the plugin looks for
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    variables |= {"PYTHONPATH": str(REPOSITORY), "TMPDIR": str(folder)}
    variables |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx", side=32)
    write_model(tmp_path / "slower.onnx", layers=24, side=32)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def write_suite(project: Path, candidate: str, baseline: str, margin: float) -> None:
    given = f'baseline="{baseline}", ' if baseline else ""
    (project / "test_speed.py").write_text(SUITE.format(candidate=candidate, baseline=given, margin=margin))


@pytest.mark.measures_time
def test_a_faster_model_passes_and_its_figures_are_in_both_reports(project: Path) -> None:
    write_suite(project, "model.onnx", "slower.onnx", 0.5)

    result = run_pytest(project, "-W", "error", "--junitxml=junit.xml", "--latency-report=report.json")

    assert result.returncode == 0, result.stdout + result.stderr
    properties = {
        entry.get("name"): float(entry.get("value") or 0)
        for entry in ElementTree.parse(project / "junit.xml").iter("property")
    }
    assert properties["ratio"] < 1
    assert properties["low"] <= properties["ratio"] <= properties["high"]
    [check] = json.loads((project / "report.json").read_bytes())["checks"]
    assert check["models"][0]["ratio"] == pytest.approx(properties["ratio"], rel=1e-4)


@pytest.mark.measures_time
@pytest.mark.parametrize(
    "options", [["-o", "junit_family=xunit1"], ["-p", "xdist", "-n", "1"]], ids=["xunit1", "xdist"]
)
def test_the_reports_are_whole_without_a_warning(options: list[str], project: Path) -> None:
    write_suite(project, "slower.onnx", "model.onnx", 0.5)

    result = run_pytest(project, "-W", "error", "--junitxml=junit.xml", "--latency-report=report.json", *options)

    assert result.returncode == 1, result.stdout + result.stderr
    assert "limit 1.5: regression" in result.stdout
    assert {"ratio", "low", "high"} <= {
        p.get("name") for p in ElementTree.parse(project / "junit.xml").iter("property")
    }
    [check] = json.loads((project / "report.json").read_bytes())["checks"]
    assert check["models"][0]["outcome"] == "regression"


@pytest.mark.measures_time
def test_a_model_many_times_slower_fails(project: Path) -> None:
    write_suite(project, "slower.onnx", "model.onnx", 5.0)

    result = run_pytest(project)

    assert result.returncode == 1, result.stdout + result.stderr
    assert "limit 6: regression" in result.stdout


@pytest.mark.measures_time
def test_shapes_that_a_file_leaves_open_are_arguments(project: Path) -> None:
    write_identity(project / "free.onnx", TensorProto.FLOAT, ["batch", 3, "h", "w"])
    call = 'latency_gate("free.onnx", "free.onnx", 5.0{})'
    tests = [("given", ', shapes={"x": (1, 3, 9, 7)}'), ("open", "")]
    (project / "test_speed.py").write_text(
        "".join(f"def test_{name}(latency_gate):\n    {call.format(shapes)}\n" for name, shapes in tests)
    )

    result = run_pytest(project, "--latency-report=report.json", "-rP")

    assert "free: fed x 1x3x9x7\n" in result.stdout
    assert "such as --shape x=1x3x224x224, or by --inputs FILE.npz" in result.stdout
    [check] = json.loads((project / "report.json").read_bytes())["checks"]
    assert check["models"][0]["first"][0]["fed"] == {"x": [1, 3, 9, 7]}


@pytest.mark.measures_time
def test_update_makes_baselines_that_the_option_then_finds(project: Path) -> None:
    write_suite(project, "model.onnx", "", 5.0)

    assert run_pytest(project, "--latency-baseline=kept", "--latency-update").returncode == 0
    assert len(list((project / "kept").glob("*.onnx"))) == 1
    assert run_pytest(project, "--latency-baseline=kept").returncode == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"PYTEST_XDIST_WORKER_COUNT": "2"}, "other workers disturb it"), ({}, "needs a baseline")],
)
def test_what_cannot_be_measured_is_an_error(environment: dict[str, str], expected: str, project: Path) -> None:
    write_suite(project, "model.onnx", "", 0.05)

    result = run_pytest(project, **environment)

    assert result.returncode == 1
    assert expected in result.stdout


def test_loading_the_plugin_imports_nothing_that_takes_time(tmp_path: Path) -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import compress.latency.gate.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )

    result = run_compress(tmp_path, python=("-c", code))

    added = [name for name in result.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names]
    assert added == ["compress", "compress.latency", "compress.latency.gate", "compress.latency.gate.pytest_plugin"]
