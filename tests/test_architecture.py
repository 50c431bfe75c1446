"""What may import what, as the contracts of pyproject.toml say, and how long files and functions may be.

Both are shown to notice what would break them.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_FILE_LINES, MAX_FUNCTION_LINES = 250, 60
AS_BYTES = re.compile(r"InferenceSession\([^\n]*read_bytes")
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a folder, in a process that has not imported the packages from elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources and of their contracts."""
    for package in ("compress", "teachers", "students"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    result = lint_imports(REPOSITORY)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract", "chain"),
    [
        (
            "compress/data/images.py",
            "from compress.training import fit",
            "Each floor imports only floors below it",
            "compress.data.images -> compress.training.fit",
        ),
        (
            "compress/files.py",
            "def later() -> None:\n    from compress import arrays",
            "Each floor imports only floors below it",
            "compress.files -> compress.arrays",
        ),
        (
            "compress/metrics/intervals.py",
            "def later() -> None:\n    from compress.tensorflow import tf",
            "What serves and measures never reaches TensorFlow",
            "compress.metrics.intervals -> compress.tensorflow",
        ),
        (
            "compress/commands/serve.py",
            "import tf_keras",
            "What serves and measures never reaches TensorFlow",
            "compress.commands.serve -> tf_keras",
        ),
        (
            "compress/stages/prune.py",
            "from compress.store import Store",
            "A stage knows nothing of caches, locks and the command line",
            "compress.stages.prune -> compress.store",
        ),
        (
            "students/plain.py",
            "from compress import arrays",
            "Teachers and students never import compress",
            "students.plain -> compress.arrays",
        ),
    ],
)
def test_an_import_that_breaks_a_contract_is_named(
    module: str, line: str, contract: str, chain: str, copy: Path
) -> None:
    with (copy / module).open("a") as stream:
        stream.write(f"\n{line}\n")

    result = lint_imports(copy)

    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout
    assert chain in result.stdout


def test_a_module_without_a_floor_is_named(copy: Path) -> None:
    (copy / "compress" / "helpers.py").touch()

    result = lint_imports(copy)

    assert result.returncode == 1
    assert "compress.helpers" in result.stdout


@pytest.mark.parametrize("folder", ["benchmarks", "compress", "students", "teachers"])
def test_nothing_but_the_tests_imports_them(folder: str) -> None:
    """Benchmarks run where tests are not installed: what both need stands in benchmarks/."""
    nodes = [
        (file, node) for file in (REPOSITORY / folder).rglob("*.py") for node in ast.walk(ast.parse(file.read_bytes()))
    ]
    imported = [(file, alias.name) for file, node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [(file, node.module or "") for file, node in nodes if isinstance(node, ast.ImportFrom)]

    assert imported
    assert [(file, name) for file, name in imported if name.partition(".")[0] == "tests"] == []


def too_long(folder: Path) -> list[str]:
    """Return the files and functions below a folder that have too many lines, with their numbers of lines."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        source = file.read_text("utf-8")
        lengths = {file.name: (len(source.splitlines()), MAX_FILE_LINES)}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths[f"{file.name}: {node.name}"] = (lines, MAX_FUNCTION_LINES)
        found += [f"{name} has {lines} lines" for name, (lines, limit) in lengths.items() if lines > limit]
    return found


def test_no_extra_installs_another_build_of_onnxruntime_over_this_one() -> None:
    """All builds share their files, and pip would keep both."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert [line for lines in extras.values() for line in lines if line.startswith("onnxruntime")] == []


@pytest.mark.parametrize("folder", ["compress", "benchmarks"])
def test_no_model_is_opened_as_the_bytes_of_its_file(folder: str) -> None:
    """ONNX Runtime would look for its external data in the current folder."""
    opened = [path for path in (REPOSITORY / folder).rglob("*.py") if AS_BYTES.search(path.read_text("utf-8"))]

    assert opened == []


def test_no_file_and_no_function_is_too_long() -> None:
    assert too_long(REPOSITORY / "compress") == []


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["def run():", *["    pass"] * 59], []),
        (["def run():", *["    pass"] * 60], ["long.py: run has 61 lines"]),
        (["class Long:", "    async def run():", *["        pass"] * 60], ["long.py: run has 61 lines"]),
        (["pass"] * 250, []),
        (["pass"] * 251, ["long.py has 251 lines"]),
    ],
)
def test_a_file_or_function_that_is_too_long_is_named(lines: list[str], found: list[str], tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("\n".join(lines))

    assert too_long(tmp_path) == found
