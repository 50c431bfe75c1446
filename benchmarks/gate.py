"""How often the latency gate is right: of a model with itself, and of one that is 15 % or 10 % slower.

    python -m benchmarks.gate [MODEL.onnx] [--same 300] [--slow 50]

Without MODEL it takes a network of 40 equal convolutions, about a millisecond on one thread. It is compared `--same`
times with itself, half of them while another process burns a core, and `--slow` times each with 46 and with 44 such
layers (15 % and 10 % more work), which only the network of its own has. Prints the outcomes, the ratios found and the
seconds a check took. The margin is 5 %.
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
    """Print a line for each kind of comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--same", type=int, default=300)
    parser.add_argument("--slow", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = arguments.model or write_model(folder / "base.onnx", layers=LAYERS, side=32)
        compare("itself", base, base, arguments.same - arguments.same // 2)
        with burning():
            compare("itself, a core burning", base, base, arguments.same // 2)
        if not arguments.model:
            for what, layers in SLOWER.items():
                compare(what, write_model(folder / f"{layers}.onnx", layers=layers, side=32), base, arguments.slow)


def compare(what: str, candidate: Path, baseline: Path, times: int) -> None:
    """Check so many times and print what came out."""
    outcomes: Counter[str] = Counter()
    ratios, seconds = [], []
    for _ in range(times):
        start = time.perf_counter()
        [checked] = check([Model("model", candidate, baseline)], Settings())
        seconds.append(time.perf_counter() - start)
        outcomes[checked.verdict.outcome] += 1
        ratios.append(checked.verdict.ratio or 0.0)
    if times:
        said = ", ".join(f"{outcomes[name]} {name}" for name in ("pass", "regression", "inconclusive"))
        print(
            f"{what:<24}{times:>4} checks: {said}; ratio {min(ratios):.3f} to {max(ratios):.3f}; "
            f"seconds a check {statistics.median(seconds):.1f}, at most {max(seconds):.1f}",
            flush=True,
        )


@contextmanager
def burning() -> Iterator[None]:
    """Let another process keep a core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
