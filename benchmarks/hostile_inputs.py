"""What each hostile or odd input of benchmarks/hostile_rows.py takes, in a process of its own.

    python -m benchmarks.hostile_inputs

Prints for each row the exit code, the seconds until it is refused or its images are accepted, those of the whole
command, and the peak of resident memory, with that of the processes it started; then a summary. About 6 minutes on 2
cores. What is accepted has more to do than to be accepted: TensorFlow is loaded to draw the contact sheet, or to train.
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
class Taken:
    """What a row took: seconds until its images were accepted, None where they were not, and of all; bytes at peak."""

    code: int
    accepted: float | None
    seconds: float
    peak: int
    line: str


def main() -> None:
    """Run every row and print what it took."""
    rows = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            taken = run(row, Path(folder))
        rows.append(taken)
        mark = "" if taken.code == (2 if row.refused else 0) else " !"
        answered = taken.seconds if taken.accepted is None else taken.accepted
        took = f"{answered:>7.2f}{taken.seconds:>7.2f} s{taken.peak / 1e6:>6.0f} MB"
        print(f"{row.name:<34}{taken.code:>3}{mark}{took}  {taken.line[:90]}", flush=True)
    refused = [taken for taken in rows if taken.accepted is None]
    accepted = [taken for taken in rows if taken.accepted is not None]
    print(
        f"{len(refused)} refused: within {max(taken.seconds for taken in refused):.2f} s, "
        f"{max(taken.peak for taken in refused) / 1e6:.0f} MB"
    )
    print(
        f"{len(accepted)} accepted: within {max(taken.accepted or 0 for taken in accepted):.2f} s, all done within "
        f"{max(taken.seconds for taken in accepted):.2f} s, {max(taken.peak for taken in accepted) / 1e6:.0f} MB"
    )


def run(row: Row, folder: Path) -> Taken:
    """Return what a row took, and the last line it printed as an error."""
    spec = row.build(make_images(folder / "images")) or "images"
    data = [spec] if row.command == ("data",) else ["--data", spec]
    command = [sys.executable, "-m", "compress", *row.command, *data, "--set", "image.size=8", *row.options]
    environment = {**os.environ, "PYTHONPATH": REPOSITORY}
    start, peak, accepted = time.perf_counter(), 0, None
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):
            held = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in held))
        if accepted is None and any(folder.glob(f".compress/store/data/*/{MANIFEST}")):
            accepted = time.perf_counter() - start
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    assert process.stderr
    return Taken(process.returncode, accepted, seconds, peak, (process.stderr.read().splitlines() or [""])[-1])


if __name__ == "__main__":
    main()
