"""Counts how often the latency gate is right: a model against itself, and against one that is 15 % or 10 % slower.

    python -m benchmarks.gate [MODEL.onnx] [--same 300] [--slow 100] [--burn 2]

Without MODEL it uses a network of 40 equal convolutions, which takes about a millisecond on one thread. It is compared
with itself `--same` times; without MODEL, networks of 46 and 44 such layers (15 % and 10 % more work) are also compared
with it, `--slow` times each. Half of the checks run while `--burn` other processes keep cores busy. Prints the
outcomes, the ratios and the seconds per check. The margin is 5 %.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.small_models import write_model
from compress.latency.gate.check import Model, Settings, check

LAYERS = 40
SLOWER = {"15 % slower": 46, "10 % slower": 44}
BURN = "while True: pass"


def main() -> None:
    """Print a line per kind of comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--same", type=int, default=300)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--burn", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = arguments.model or write_model(folder / "base.onnx", layers=LAYERS, side=32)
        candidates = [("itself", base, arguments.same)]
        if not arguments.model:
            for what, layers in SLOWER.items():
                file = write_model(folder / f"{layers}.onnx", layers=layers, side=32)
                candidates.append((what, file, arguments.slow))
        for what, candidate, times in candidates:
            compare(what, candidate, base, times - times // 2)
            with busy_cores(arguments.burn):
                compare(f"{what}, {arguments.burn} burning", candidate, base, times // 2)


def compare(what: str, candidate: Path, baseline: Path, times: int) -> None:
    """Check a model `times` times and print the outcomes."""
    outcomes: Counter[str] = Counter()
    ratios, seconds = [], []
    for _ in range(times):
        start = time.perf_counter()
        [checked] = check([Model("model", candidate, baseline)], Settings())
        seconds.append(time.perf_counter() - start)
        outcomes[checked.verdict.outcome] += 1
        ratios.append(checked.verdict.ratio or 0.0)
    if times:
        counts = ", ".join(f"{outcomes[name]} {name}" for name in ("pass", "regression", "inconclusive"))
        print(
            f"{what:<24}{times:>4} checks: {counts}; ratio {min(ratios):.3f} to {max(ratios):.3f}; "
            f"seconds per check {statistics.median(seconds):.1f}, at most {max(seconds):.1f}",
            flush=True,
        )


@contextmanager
def busy_cores(n: int) -> Iterator[None]:
    """Run other processes that each keep a core busy."""
    processes = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
