"""Measures the seconds from the start of `predict` to its first label, and those that importing its libraries takes.

    python benchmarks/predict.py BUNDLE IMAGE [--times 21]

Both are run alternately. Prints the median and the range of each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = "import numpy, PIL.Image, onnxruntime"
ROOT = Path(__file__).parent.parent


def main() -> None:
    """Print a line for each of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("image")
    parser.add_argument("--times", type=int, default=21)
    arguments = parser.parse_args()
    commands = {
        "predict": ["-m", "compress", "predict", arguments.bundle, arguments.image],
        "its libraries alone": ["-c", LIBRARIES],
    }
    seconds: dict[str, list[float]] = {what: [] for what in commands}
    for _ in range(arguments.times):
        for what, command in commands.items():
            seconds[what].append(seconds_of(command))
    for what, times in seconds.items():
        print(f"{what:<20} {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


def seconds_of(command: Sequence[str]) -> float:
    """Return how many seconds a new Python process takes."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
