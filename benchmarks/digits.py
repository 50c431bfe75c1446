"""The README's figures on digits: `python -m compress all` for seeds 0, 1 and 2, and the means over them.

    python benchmarks/digits.py [FOLDER]

About 15 minutes on 2 cores. Seeds that are finished in FOLDER (default: benchmarks/runs) are not run again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from compress.bundle.choice import p50_ms

SEEDS = (0, 1, 2)


def main() -> None:
    """Run the seeds and print one line each, then the means."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "runs")
    rows = []
    for seed in SEEDS:
        report = run(folder / f"seed{seed}", seed)
        rows.append(figures(report))
        print(f"seed {seed}, deployed {report['deployed']}: {as_text(rows[-1])}")
    print(f"mean of {len(rows)}: {as_text({name: sum(row[name] for row in rows) / len(rows) for name in rows[0]})}")


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the default settings with a seed; return the report."""
    folder.mkdir(parents=True, exist_ok=True)
    repository = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "compress", "all", "--set", f"seed={seed}"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": repository}, check=True, stdout=sys.stderr)
    return json.loads((folder / "exported" / "digits" / "report.json").read_bytes())


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Return what is claimed of a run."""
    models = {model["id"]: model for model in report["models"]}
    teacher, deployed = models["teacher-fp32"], models[report["deployed"]]
    return {
        "teacher accuracy": teacher["test"]["accuracy"],
        "sparsity": models["pruned-fp32"]["sparsity"],
        "pruned drop": models["pruned-fp32"]["test"]["drop_vs_teacher"],
        "int8 drop": models["pruned-int8"]["test"]["drop_vs_teacher"],
        "deployed drop": deployed["test"]["drop_vs_teacher"],
        "times faster": p50_ms(teacher) / p50_ms(deployed),
        "times smaller": teacher["size_bytes"] / deployed["size_bytes"],
        "seconds": sum(stage["seconds"] for stage in report["stages"]),
    }


def as_text(row: dict[str, float]) -> str:
    """Return figures in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items())


if __name__ == "__main__":
    main()
