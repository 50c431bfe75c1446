"""What each hostile or odd input of tests/data/test_hostile_inputs.py takes, in a process of its own.

    python benchmarks/hostile_inputs.py

Prints for each row the exit code, the seconds and the peak of resident memory, with those of the processes it started,
and a summary. About 4 minutes on 2 cores. A row that is accepted also draws the contact sheet, for which TensorFlow is
loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.data.test_hostile_inputs import ROWS, Row, make_images

REPOSITORY = str(Path(__file__).parent.parent)


def main() -> None:
    """Run every row and print what it took."""
    seconds, peaks = [], []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            code, took, peak, line = run(row, Path(folder))
        mark = "" if code == (2 if row.refused else 0) else " !"
        seconds.append(took)
        peaks.append(peak)
        print(f"{row.name:<34}{code:>3}{mark}{took:>7.2f} s {peak / 1e6:>6.0f} MB  {line[:90]}")
    print(f"{len(ROWS)} rows; at most {max(seconds):.2f} s and {max(peaks) / 1e6:.0f} MB")


def run(row: Row, folder: Path) -> tuple[int, float, int, str]:
    """Return a row's exit code, seconds, peak of resident memory in bytes, and the last line it printed as an error."""
    spec = row.build(make_images(folder / "images")) or "images"
    data = [spec] if row.command == ("data",) else ["--data", spec]
    command = [sys.executable, "-m", "compress", *row.command, *data, "--set", "image.size=8", *row.options]
    environment = {**os.environ, "PYTHONPATH": REPOSITORY}
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):
            held = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in held))
        time.sleep(0.02)
    took = time.perf_counter() - start
    assert process.stderr
    return process.returncode, took, peak, (process.stderr.read().splitlines() or [""])[-1]


if __name__ == "__main__":
    main()
