from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from compress import cli, fingerprint
from tests.toy import Toy

# Networks of tests are small: more threads cost more than they save, and bytes that are compared depend on their number
os.environ.update(TF_NUM_INTRAOP_THREADS="1", OMP_NUM_THREADS="1")

pytest_plugins = ["tests.parallel"]
TINY = Path(__file__).parent / "tiny.toml"
REPOSITORY = Path(__file__).parent.parent


def run_compress(
    folder: Path, *arguments: str, python: tuple[str, ...] = ("-m", "compress")
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, as a user does."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *python, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_main(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    """Run the command line in a folder, within this process; return its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["compress", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test, and processes that it starts, not wait for what else measures on this machine."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@dataclass(frozen=True)
class Run:
    folder: Path
    output: str

    @property
    def bundle(self) -> Path:
        return self.folder / "exported" / "digits"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One whole run at the size of tiny.toml, shared by all tests that only read it."""
    folder = tmp_path_factory.mktemp("tiny")
    result = run_compress(folder, "all", "--config", str(TINY))
    assert result.returncode == 0, result.stdout + result.stderr
    return Run(folder, result.stdout)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setattr(fingerprint, "code_digest", lambda modules: "code")
    monkeypatch.setattr(fingerprint, "library_versions", lambda modules: {"library": "1.0"})
    return Toy(tmp_path)


def pytest_collection_finish() -> None:
    """Keep what is imported by now, TensorFlow above all, out of every later collection of garbage."""
    gc.collect()
    gc.freeze()
