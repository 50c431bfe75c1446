"""Compares the figures of `python -m compress bench MODEL` with those of onnxruntime's own perf test.

    python -m benchmarks.bench [MODEL.onnx] [--turns 10] [--seconds 2]

Without MODEL it uses two networks of 40 equal convolutions, which take about one and six milliseconds. Our command and
an equivalent of `onnxruntime_perf_test` (`benchmarks/perf_test.py`) run alternately, each in a new process. Prints the
ratio of our median to the mean of theirs before and after it: the median over the turns, and the range of the middle
half. Our time includes what Python's `session.run` does with inputs and outputs, theirs does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from benchmarks.perf_test import perf_test
from benchmarks.small_models import write_model
from compress.machine import available_cores

SIDES = (32, 72)


def main() -> None:
    """Print a line per model and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        files = [arguments.model] if arguments.model else [network(Path(temporary), side) for side in SIDES]
        for file in files:
            for threads in sorted({1, available_cores()}):
                compare(file, threads, arguments.turns, arguments.seconds, Path(temporary))


def network(folder: Path, side: int) -> Path:
    """Write a network for images of `side` x `side` pixels."""
    return write_model(folder / f"{side}.onnx", layers=40, side=side)


def compare(file: Path, threads: int, turns: int, seconds: float, folder: Path) -> None:
    """Measure a model with both alternately and print the ratio."""
    ratios, all_theirs = [], [theirs_ms(file, threads, seconds)]
    for _ in range(turns):
        ours = ours_ms(file, threads, seconds, folder)
        all_theirs.append(theirs_ms(file, threads, seconds))
        ratios.append(ours / statistics.mean(all_theirs[-2:]))
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{file.stem}, {threads} threads: ours / theirs {middle:.3f} ({low:.3f} to {high:.3f}); "
        f"theirs {statistics.median(all_theirs):.3f} ms",
        flush=True,
    )


def ours_ms(file: Path, threads: int, seconds: float, folder: Path) -> float:
    """Return the median that our command measures, in ms."""
    options = ["--batches", "1", "--threads", str(threads), "--seconds", str(seconds)]
    report = folder / "bench.json"
    command = [sys.executable, "-m", "compress", "bench", str(file), *options, "--json", str(report)]
    subprocess.run(command, check=True, capture_output=True)
    [model] = json.loads(report.read_bytes())["models"]
    return statistics.median(model["latencies"][0]["samples_ns"]) / 1e6


def theirs_ms(file: Path, threads: int, seconds: float) -> float:
    """Return the median that the perf test measures, in ms."""
    with get_context("spawn").Pool(1) as pool:
        return statistics.median(pool.apply(perf_test, (file, threads, seconds))) / 1e6


if __name__ == "__main__":
    main()
