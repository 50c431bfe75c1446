"""The figures on digits: `python -m compress all` for seeds 0, 1 and 2, and the means over them.

    python benchmarks/digits.py [FOLDER]

Takes about 15 minutes on 2 cores. Seeds that are finished in FOLDER (default: benchmarks/runs) are not run again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from compress.report.file import FILE, read
from compress.report.schema import Report

SEEDS = (0, 1, 2)


def main() -> None:
    """Run the seeds and print a Markdown table: one row per seed, then the means."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "runs")
    rows = [figures(run(folder / f"seed{seed}", seed)) for seed in SEEDS]
    print(f"| seed | {' | '.join(rows[0])} |\n|---{'|---' * len(rows[0])}|")
    for seed, row in zip(SEEDS, rows, strict=True):
        print(as_text(str(seed), row))
    print(as_text("mean", {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}))


def run(folder: Path, seed: int) -> Report:
    """Run the default settings with a seed; return the report."""
    folder.mkdir(parents=True, exist_ok=True)
    repository = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "compress", "all", "--set", f"seed={seed}"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": repository}, check=True, stdout=sys.stderr)
    return read(folder / "exported" / "digits" / FILE)


def figures(report: Report) -> dict[str, float]:
    """Return the figures of a run that docs/figures.md shows."""
    models = {model.id: model for model in report.models}
    teacher, deployed = report.teacher, report.deployed_model
    return {
        "teacher": teacher.test.accuracy,
        "pruned": models["pruned-fp32"].test.accuracy,
        "its zeros": models["pruned-fp32"].sparsity,
        "pruned, int8": models["pruned-int8"].test.accuracy,
        "deployed student": deployed.test.accuracy,
        "times faster": teacher.p50_ms() / deployed.p50_ms(),
        "times smaller": teacher.size_bytes / deployed.size_bytes,
        "seconds": sum(stage.seconds for stage in report.stages),
    }


def as_text(name: str, row: dict[str, float]) -> str:
    """Return figures as a row of a table: fractions with four decimals, larger numbers without any."""
    return f"| {name} | {' | '.join(f'{value:.4f}' if value <= 1 else f'{value:.0f}' for value in row.values())} |"


if __name__ == "__main__":
    main()
