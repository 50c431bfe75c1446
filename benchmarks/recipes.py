"""Compares what the recipe decides, on several data sets, with runs whose settings are chosen by hand.

    python -m benchmarks.recipes FOLDER [SET...] [--runs FOLDER] [--weights FILE] [--by-hand] [--budgets SET]

FOLDER is that of benchmarks/recipe_data.py. Runs `python -m compress all` on each SET (default: all), each in a folder
of its own below --runs (default: benchmarks/runs/recipes), and prints a Markdown table: what was chosen, how good
teacher and deployed model are, and the minutes that the commands took. --weights, a file of VGG16's weights, is for the
sets that begin from them. With --by-hand, the sets in BY_HAND are run with each of its rows as well; the best of these
by the deployed model's validation accuracy stands beside the recipe's. With --budgets, SET alone is run with each of
BUDGETS. Runs that are finished are not run again; those that were interrupted go on. On 2 cores, the recipe takes
minutes on the small sets and 1.5 hours on fashion_mnist, --by-hand 3 hours, --budgets as long as they say.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.recipe_data import EMOJI_GROUP
from compress.config import load
from compress.report.file import FILE, read
from compress.report.schema import Report

Settings = Mapping[str, Any]

SETS: Mapping[str, tuple[str, Settings]] = {
    "digits": ("digits", {}),
    "fashion6000": ("{folder}/fashion6000.npz", {}),
    "fashion_mnist": ("fashion_mnist", {}),
    "emoji": ("{folder}/emoji", {"data.group": EMOJI_GROUP}),
    "emoji_from_weights": ("{folder}/emoji", {"data.group": EMOJI_GROUP, "teacher.weights": "{weights}"}),
    "photos": ("{folder}/photos", {"teacher.weights": "{weights}"}),
    "ten-per-class": ("{folder}/ten-per-class.npz", {}),
}
"""The data of each set, and what the user of such data would have to set in any case."""

NARROW = {"teacher.architecture.options.width": 0.5}
FLIPS = {"teacher.augmentation.flip": "horizontal", "distill.augmentation.flip": "horizontal"}
LARGER_STUDENT = {"distill.student.options.width": 16, "distill.student.options.blocks": 5}
BY_HAND: Mapping[str, tuple[Settings, ...]] = {
    "digits": (
        {"teacher.epochs": 6},
        {"teacher.epochs": 12, "teacher.learning_rate": 0.05},
        {"teacher.epochs": 12, **NARROW, "distill.epochs": 15},
        {"teacher.epochs": 10, "teacher.optimizer": "adamw", "teacher.learning_rate": 0.001, **NARROW},
    ),
    "fashion6000": (
        {"teacher.epochs": 10, "teacher.learning_rate": 0.05, **FLIPS},
        {"teacher.epochs": 20, "teacher.learning_rate": 0.05, **NARROW, **FLIPS},
        {"teacher.epochs": 15, "teacher.batch_size": 64, "distill.epochs": 15, **NARROW, **FLIPS},
        {"teacher.epochs": 20, "teacher.optimizer": "adamw", "teacher.learning_rate": 0.001, **NARROW, **FLIPS},
    ),
    "ten-per-class": (
        {"teacher.epochs": 50},
        {"teacher.epochs": 100, **NARROW, **FLIPS},
        {"teacher.epochs": 150, "teacher.learning_rate": 0.05, **NARROW, "distill.epochs": 15},
        {"teacher.epochs": 100, "teacher.optimizer": "adamw", "teacher.learning_rate": 0.001, **NARROW, **FLIPS},
    ),
    "emoji": (
        {"image.size": 32, "teacher.epochs": 30, "distill.student.options.width": 12, **FLIPS},
        {"image.size": 48, "teacher.epochs": 40, **NARROW, "distill.student.options.width": 16, **FLIPS},
        {"image.size": 64, "teacher.epochs": 30, **NARROW, **LARGER_STUDENT, **FLIPS},
        {"image.size": 64, "teacher.epochs": 40, "teacher.learning_rate": 0.05, **NARROW, **LARGER_STUDENT},
    ),
}
"""What an engineer would try on a set: the length, rate, optimizer and width of the teacher, flips, the student."""

BUDGETS = ("10m", "30m", "2h")


@dataclass(frozen=True)
class Run:
    """A finished run: what it was called with, its whole settings, its report, and the seconds that it took."""

    given: Settings
    config: Any
    report: Report
    seconds: float

    @property
    def validation(self) -> float:
        """The deployed model's accuracy on validation, by which the best run is chosen."""
        return self.report.deployed_model.validation.accuracy


def main() -> None:
    """Run what is asked for, and print tables as their rows are known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], metavar="SET", help=", ".join(SETS))
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs" / "recipes")
    parser.add_argument("--weights", type=Path, help="VGG16's weights without top")
    parser.add_argument("--by-hand", action="store_true")
    parser.add_argument("--budgets", choices=list(SETS), metavar="SET")
    arguments = parser.parse_args()
    filled = {"folder": arguments.folder.resolve(), "weights": arguments.weights and arguments.weights.resolve()}
    if arguments.budgets:
        within_budgets(arguments.budgets, arguments.runs, filled)
        return
    print_row("set", "chosen", *FIGURES, *(f"best by hand: {name}" for name in FIGURES if arguments.by_hand))
    print_row(*["---"] * (2 + len(FIGURES) * (1 + arguments.by_hand)))
    lines = []
    for name in arguments.sets or SETS:
        if "{weights}" in SETS[name][1].values() and not filled["weights"]:
            lines.append(f"{name} is left out: it needs --weights")
            continue
        run = finished(arguments.runs / name / "auto", name, {}, filled)
        best = by_hand(arguments.runs / name, name, filled) if arguments.by_hand else None
        print_row(name, chosen(run), *figures(run), *(figures(best) if best else ()))
        decided = [f"{made.key} = {made.value}: {made.reason}" for made in run.report.recipe]
        lines += [f"{name}: {line}" for line in (*decided, *best_of_trainings(run), *run.report.advice)]
        lines += [f"{name}, best by hand: {as_text(best.given)}"] if best else []
    print("", *lines, sep="\n")


def by_hand(folder: Path, name: str, filled: Settings) -> Run | None:
    """Return the best run of a set by hand, chosen on validation; None for a set without any."""
    runs = [
        finished(folder / f"hand{i}", name, {"recipe": "none", **settings}, filled)
        for i, settings in enumerate(BY_HAND.get(name, ()), start=1)
    ]
    for run in runs:
        print(f"{name} by hand, {as_text(run.given)}: {' | '.join(figures(run))}", file=sys.stderr)
    return max(runs, key=lambda run: run.validation, default=None)


def within_budgets(name: str, folder: Path, filled: Settings) -> None:
    """Run a set with each budget, and print what became of it."""
    print_row("budget", "chosen", *FIGURES)
    print_row(*["---"] * (2 + len(FIGURES)))
    for budget in BUDGETS:
        run = finished(folder / name / budget, name, {}, filled, ("--budget", budget))
        print_row(budget, chosen(run), *figures(run))


def finished(folder: Path, name: str, given: Settings, filled: Settings, options: Sequence[str] = ()) -> Run:
    """Return a run of a set in a folder, which is finished first if it is not; `filled` are values for SETS."""
    spec, needed = SETS[name]
    settings = {key: str(value).format(**filled) for key, value in {**needed, **given}.items()}
    folder.mkdir(parents=True, exist_ok=True)
    took = folder / "seconds.json"
    if not any(folder.glob(f"exported/*/{FILE}")):
        command = [sys.executable, "-m", "compress", "all", "--data", spec.format(**filled), *options]
        command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        before, start = json.loads(took.read_text()) if took.exists() else 0.0, time.monotonic()
        try:
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
        finally:
            took.write_text(json.dumps(before + time.monotonic() - start))
    [bundle] = folder.glob("exported/*")
    return Run(given, load(bundle / "config.toml"), read(bundle / FILE), json.loads(took.read_text()))


FIGURES = ("teacher", "deployed", "95 %", "times faster", "minutes")


def figures(run: Run) -> tuple[str, ...]:
    """Return the figures of a run, named by FIGURES: accuracies are on the test images."""
    teacher, deployed = run.report.teacher, run.report.deployed_model
    low, high = deployed.test.accuracy_ci95
    return (
        f"{teacher.test.accuracy:.3f}",
        f"{deployed.test.accuracy:.3f} ({deployed.id})",
        f"{low:.3f} to {high:.3f}",
        f"{teacher.p50_ms() / deployed.p50_ms():.0f}",
        f"{run.seconds / 60:.1f}",
    )


def chosen(run: Run) -> str:
    """Return in words the settings of a run that differ most from set to set."""
    teacher, distill = run.config.teacher, run.config.distill
    phases = [f"head and {phase.blocks} blocks {phase.epochs}" for phase in teacher.phases]
    return ", ".join(
        [
            f"{run.config.image.size} pixels",
            f"{teacher.architecture.name} {as_text(teacher.architecture.options)}".strip(),
            f"at most {' + '.join([*phases, str(teacher.epochs)])} epochs at {teacher.learning_rate:g}",
            f"batch {teacher.batch_size}",
            f"flip {teacher.augmentation.flip}",
            f"{distill.student.name} {as_text(distill.student.options)}".strip(),
            f"at most {distill.epochs} epochs of {distill.views} views",
        ]
    )


def best_of_trainings(run: Run) -> Iterable[str]:
    """Yield the best validation accuracy of each training of each network, with its epochs."""
    for network, trainings in run.report.training.items():
        parts = [
            f"{training.name} {max(row.validation_accuracy for row in training.history):.4f} in "
            f"{len(training.history)} of {training.limit} epochs"
            for training in trainings
            if training.history
        ]
        if parts:
            yield f"{network} on validation: {', '.join(parts)}"


def as_text(settings: Settings) -> str:
    """Return settings in one line."""
    return ", ".join(f"{key.removeprefix('teacher.')} {value}" for key, value in settings.items() if key != "recipe")


def print_row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
