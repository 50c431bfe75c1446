"""A page that shows a run while it works: the stage, the time left, and the curves of its trainings so far."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compress.files import write_file
from compress.report.charts.style import COLORS, as_inline_svg
from compress.report.charts.training import curves
from compress.report.file import LIVE, TEMPLATES
from compress.report.making import Epoch, Training
from compress.templates import render

EVERY = 5.0  # seconds: drawing takes a part of one
HISTORY = "*/*/history.csv"  # of each training, below the folder of logs


class Live:
    """Writes the page at most every few seconds, with the trainings whose epochs end from now on."""

    def __init__(self, path: Path, logs: Path, data: str) -> None:
        self.path, self.logs, self.data = path, logs, data
        self._began, self._written = time.time(), -EVERY
        self._drawn: dict[tuple[Path, int], dict[str, Any]] = {}

    def __call__(self, stage: str, fraction: float, words: str, left: str) -> None:
        """Show how far a stage is; arguments as for `Progress`'s `show`."""
        if time.monotonic() - self._written >= EVERY:
            self._write(stage=stage, fraction=fraction, words=words, left=left, report="")

    def end(self, report: Path | None) -> None:
        """Show that the run is over, and where its report is, if it has one."""
        self._write(stage="", fraction=1.0, words="", left="", report=report.resolve().as_uri() if report else "")

    def _write(self, **shown: Any) -> None:
        page = render(
            TEMPLATES[LIVE], colors=COLORS, data=self.data, every=EVERY, figures=list(self._figures()), **shown
        )
        write_file(self.path, page.encode())
        self._written = time.monotonic()

    def _figures(self) -> Any:
        files = {path: path.stat() for path in self.logs.glob(HISTORY)}
        for path, status in sorted(files.items(), key=lambda item: item[1].st_mtime):
            if status.st_mtime < self._began:
                continue
            if (path, status.st_mtime_ns) not in self._drawn:
                self._drawn[path, status.st_mtime_ns] = _drawn(path)
            yield self._drawn[path, status.st_mtime_ns]


def _drawn(path: Path) -> dict[str, Any]:
    stage = path.parts[-3].rpartition("-")[0]
    with path.open(encoding="utf-8", newline="") as stream:
        rows = tuple(
            Epoch(
                epoch=int(row["epoch"]),
                learning_rate=float(row["learning_rate"]),
                loss=float(row["loss"]),
                validation_accuracy=float(row["validation_accuracy"]),
                validation_cross_entropy=float(row["validation_cross_entropy"]),
            )
            for row in csv.DictReader(stream)
        )
    training = Training(name=path.parts[-2], precision="", history=rows, warnings=())
    chart = curves(f"{stage}, {training.name}", (training,), balanced=False)
    return {"svg": Markup(as_inline_svg(chart)), "caption": chart.caption}
