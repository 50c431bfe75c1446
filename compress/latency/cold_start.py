"""What a model takes in a process of its own: its first run, and memory at its peak."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from compress.latency.inputs import feed_for
from compress.latency.model_files import first_call, open_model
from compress.latency.processes import answer, run_in_new_process

CALLS = 3  # the second and third may take memory that the first did not
RUNS = 5  # processes per file


@dataclass(frozen=True)
class Request:
    """A file to run."""

    file: str
    provider: str
    threads: int
    provider_options: dict[str, str]


@dataclass(frozen=True)
class ColdStart:
    """`first_run_ns`: making the session and its first call. `peak_bytes`: resident memory above Python's own."""

    first_run_ns: int
    peak_bytes: int


def cold_starts(
    files: Mapping[Path, Mapping[str, str]], provider: str, threads: int
) -> dict[Path, tuple[ColdStart, ...]]:
    """Run each file, with its session's options, several times, in turns, each time in a new process.

    Raises as `open_model` and `first_call`.
    """
    requests = {file: Request(str(file), provider, threads, dict(options)) for file, options in files.items()}
    turns = [{file: _in_new_process(request) for file, request in requests.items()} for _ in range(RUNS)]
    return {file: tuple(turn[file] for turn in turns) for file in requests}


def _in_new_process(request: Request) -> ColdStart:
    reply = run_in_new_process(__name__, request)
    assert reply is not None  # no time was set
    return ColdStart(**reply)


def main() -> None:
    """Answer the request on standard input."""
    answer(lambda request: run(Request(**request)))


def run(request: Request) -> ColdStart:
    """Run a model in this process."""
    file = Path(request.file)
    before = psutil.Process().memory_info().rss
    start = time.perf_counter_ns()
    session = open_model(
        file, threads=request.threads, provider=request.provider, provider_options=request.provider_options
    )
    feed = feed_for(session, file)
    first_call(session, file, feed)
    first_run_ns = time.perf_counter_ns() - start
    for _ in range(CALLS - 1):
        first_call(session, file, feed)
    return ColdStart(first_run_ns, max(_peak_rss_bytes() - before, 0))


def _peak_rss_bytes() -> int:
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose getrusage counts what the parent held when it forked
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
