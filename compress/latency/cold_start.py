"""The cold start of a model in a new process: the time of its first run, and its peak memory."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from compress.latency.given import NOTHING, Given
from compress.latency.inputs import feed_for
from compress.latency.model_files import first_call, open_model
from compress.latency.processes import answer, run_in_new_process

CALLS = 3  # the second and third may need more memory than the first
RUNS = 5  # processes per file


@dataclass(frozen=True)
class Request:
    """A model file to run in a new process, and how."""

    file: str
    provider: str
    threads: int
    provider_options: dict[str, str]
    given: Given = NOTHING


@dataclass(frozen=True)
class ColdStart:
    """A model's first run and memory.

    `first_run_ns` is the time to make the session and to call it once; `peak_bytes` is the peak of resident memory,
    less what Python held before.
    """

    first_run_ns: int
    peak_bytes: int


def cold_starts(
    files: Mapping[Path, Mapping[str, str]],
    provider: str,
    threads: int,
    given: Given = NOTHING,
    seconds: float = math.inf,
) -> dict[Path, tuple[ColdStart, ...]]:
    """Return several cold starts of each file, run with its session options on a batch of 1, in rounds over all files.

    Each run is in a new process. There are fewer rounds, possibly none, if `seconds` end before the last. Raises what
    `open_model` and `first_call` raise.
    """
    end = time.monotonic() + seconds
    requests = {file: Request(str(file), provider, threads, dict(options), given) for file, options in files.items()}
    rounds: list[dict[Path, ColdStart]] = []
    for _ in range(RUNS):
        starts = {}
        for file, request in requests.items():
            left = end - time.monotonic()
            reply = run_in_new_process(__name__, request, left if left < math.inf else None)
            if reply is None:
                return _by_file(requests, rounds)
            starts[file] = ColdStart(**reply)
        rounds.append(starts)
    return _by_file(requests, rounds)


def _by_file(files: Iterable[Path], rounds: Sequence[Mapping[Path, ColdStart]]) -> dict[Path, tuple[ColdStart, ...]]:
    return {file: tuple(starts[file] for starts in rounds) for file in files}


def main() -> None:
    """Answer the request on standard input."""
    answer(lambda request: run(Request(**{**request, "given": Given(**request["given"])})))


def run(request: Request) -> ColdStart:
    """Run a model in this process, which should be a new one, and return its cold start."""
    file = Path(request.file)
    before = psutil.Process().memory_info().rss
    start = time.perf_counter_ns()
    session = open_model(
        file, threads=request.threads, provider=request.provider, provider_options=request.provider_options
    )
    feed = feed_for(session, file, given=request.given)
    first_call(session, file, feed)
    first_run_ns = time.perf_counter_ns() - start
    for _ in range(CALLS - 1):
        first_call(session, file, feed)
    return ColdStart(first_run_ns, max(_peak_rss_bytes() - before, 0))


def _peak_rss_bytes() -> int:
    """Return the peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, where getrusage also counts what the parent held when it forked
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
