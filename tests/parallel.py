"""The suite on all cores: tests that share a fixture in one process, those that measure time while no other runs.

Without pytest-xdist (`-p no:xdist`), or with `-n 0`, all of it runs in one process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from filelock import ReadWriteLock

from compress.machine import available_cores

MAX_WORKERS = 8  # with more, the longest group of tests would still take as long
SHARED = ("tiny_run",)  # fixtures of a session that tests of several modules take
GROUPS, CORES = "groups.json", "cores.lock"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all cores, and a part of it in this process, unless `-n` says otherwise."""
    option, whole = config.option, config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    if option.numprocesses is None and whole and not option.usepdb:
        option.numprocesses = min(available_cores(), MAX_WORKERS)
    option.loadscopereorder = False  # it would sort groups by their number of tests; what measures time comes last
    if option.numprocesses:
        folder = tempfile.TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        option.shared_by_workers = folder.name


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where all of them find what they share."""
    node.workerinput["shared"] = node.config.option.shared_by_workers


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what measures time last; in a worker, tell the scheduler which tests belong together."""
    items.sort(key=measures_time)
    if hasattr(config, "workerinput"):
        file = Path(config.workerinput["shared"]) / f"{config.workerinput['workerid']}.json"
        file.write_text(json.dumps({item.nodeid: group_of(item) for item in items}))
        file.replace(file.with_name(GROUPS))  # each worker writes the same


def measures_time(item: pytest.Item) -> bool:
    """Tell whether a test compares measured times."""
    return item.get_closest_marker("measures_time") is not None


def group_of(item: pytest.Item) -> str:
    """Return which tests run in the same process, so that what they share is made once."""
    shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
    return "measures_time" if measures_time(item) else shared[0] if shared else item.nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand whole groups to workers. pytest-xdist 3.8's own loadgroup finds no group with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        @cached_property
        def groups(self) -> dict[str, str]:
            return json.loads((Path(config.option.shared_by_workers) / GROUPS).read_text())

        def _split_scope(self, nodeid: str) -> str:
            return self.groups[nodeid]

    return ByGroup(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that measures time wait until no other worker runs one, and those wait for it."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    cores = ReadWriteLock(Path(item.config.workerinput["shared"]) / CORES)
    with cores.write_lock() if measures_time(item) else cores.read_lock():
        return (yield)
