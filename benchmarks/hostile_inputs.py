"""Measures the time and memory of each hostile or odd input of benchmarks/hostile_rows.py, in a new process each.

    python -m benchmarks.hostile_inputs

Prints for each row the exit code, the seconds until it is refused or its images are accepted, the seconds of the whole
command, and the peak resident memory including child processes; then a summary. Takes about 6 minutes on 2 cores.
Accepted inputs take longer than their acceptance: TensorFlow is loaded to draw the contact sheet, or to train.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.hostile_rows import ROWS, Row, make_images
from compress.files import MANIFEST

REPOSITORY = str(Path(__file__).parent.parent)


@dataclass(frozen=True)
class Result:
    """A row's exit code, seconds until its images were accepted (None if they were not), all seconds, peak bytes."""

    code: int
    accepted: float | None
    seconds: float
    peak: int
    line: str


def main() -> None:
    """Run every row and print its time and memory."""
    results = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            result = run(row, Path(folder))
        results.append(result)
        mark = "" if result.code == (2 if row.refused else 0) else " !"
        answered = result.seconds if result.accepted is None else result.accepted
        cost = f"{answered:>7.2f}{result.seconds:>7.2f} s{result.peak / 1e6:>6.0f} MB"
        print(f"{row.name:<34}{result.code:>3}{mark}{cost}  {result.line[:90]}", flush=True)
    refused = [result for result in results if result.accepted is None]
    accepted = [result for result in results if result.accepted is not None]
    print(
        f"{len(refused)} refused: within {max(result.seconds for result in refused):.2f} s, "
        f"{max(result.peak for result in refused) / 1e6:.0f} MB"
    )
    print(
        f"{len(accepted)} accepted: within {max(result.accepted or 0 for result in accepted):.2f} s, all done within "
        f"{max(result.seconds for result in accepted):.2f} s, {max(result.peak for result in accepted) / 1e6:.0f} MB"
    )


def run(row: Row, folder: Path) -> Result:
    """Run a row's command; `line` of the result is the last line that it printed to standard error."""
    spec = row.build(make_images(folder / "images")) or "images"
    data = [spec] if row.command == ("data",) else ["--data", spec]
    command = [sys.executable, "-m", "compress", *row.command, *data, "--set", "image.size=8", *row.options]
    environment = {**os.environ, "PYTHONPATH": REPOSITORY}
    start, peak, accepted = time.perf_counter(), 0, None
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    watched = psutil.Process(child.pid)
    while child.poll() is None:
        with suppress(psutil.Error):
            processes = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(process.memory_info().rss for process in processes))
        if accepted is None and any(folder.glob(f".compress/store/data/*/{MANIFEST}")):
            accepted = time.perf_counter() - start
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    assert child.stderr
    return Result(child.returncode, accepted, seconds, peak, (child.stderr.read().splitlines() or [""])[-1])


if __name__ == "__main__":
    main()
