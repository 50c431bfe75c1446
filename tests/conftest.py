from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import ReadWriteLock

from compress import cli, fingerprint
from compress.machine import available_cores
from tests.toy import Toy

# Networks of tests are small: more threads cost more than they save, and bytes that are compared depend on their number
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", OMP_NUM_THREADS="1")

MAX_WORKERS = 8  # from there on the longest group of tests decides how long the suite takes
TINY = Path(__file__).parent / "tiny.toml"
REPOSITORY = Path(__file__).parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all cores, and a part of it in this process, unless `-n` says otherwise."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    option, whole = config.option, config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if option.numprocesses is None and whole and not option.usepdb:
        option.numprocesses = min(available_cores(), MAX_WORKERS)
    if option.numprocesses and option.dist == "no":
        option.dist, option.loadscopereorder = "loadgroup", False


@pytest.hookimpl(tryfirst=True)  # xdist puts the groups into the names
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that share a fixture in one process: those of a module, and those of the tiny run.

    What measures time comes last: see `pytest_runtest_protocol`.
    """
    items.sort(key=lambda item: item.get_closest_marker("measures_time") is not None)
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        shared = "tiny_run" if "tiny_run" in getattr(item, "fixturenames", ()) else item.path.relative_to(REPOSITORY)
        alone = item.get_closest_marker("measures_time")
        item.add_marker(pytest.mark.xdist_group("measures_time" if alone else shared))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that measures time wait until no other worker runs one, and those wait for it."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    cores = ReadWriteLock(Path(item.config.option.basetemp).parent / "cores.lock")
    alone = item.get_closest_marker("measures_time")
    with cores.write_lock() if alone else cores.read_lock():
        return (yield)


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
