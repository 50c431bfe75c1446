"""A page that shows a run while it works: the stage, the time left, and the curves of its trainings so far."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup

from compress.errors import first_line
from compress.files import write_file
from compress.report.charts.style import as_inline_svg
from compress.report.charts.training import curves
from compress.report.colors import COLORS
from compress.report.file import LIVE, TEMPLATES
from compress.report.making import Epoch, Training
from compress.templates import render

EVERY = 5.0  # seconds: drawing takes a part of one
HISTORY = "*/*/history.csv"  # of each training, below the folder of logs


class Live:
    """Writes the page at most every few seconds, with the trainings whose epochs end from now on."""

    def __init__(self, path: Path, logs: Path, data: str, balanced: bool, note: Callable[[str], None]) -> None:
        self.path, self.logs, self.data, self.balanced, self.note = path, logs, data, balanced, note
        self._began, self._written, self._fails = time.time(), -EVERY, False
        self._drawn: dict[Path, tuple[int, dict[str, Any]]] = {}

    def __call__(self, stage: str, fraction: float, words: str, left: str) -> None:
        """Show how far a stage is; arguments as for `Progress`'s `show`."""
        if time.monotonic() - self._written >= EVERY:
            self._write(stage=stage, fraction=fraction, words=words, left=left, ended="", report="")

    def end(self, how: Literal["finished", "stopped"], report: Path | None = None) -> None:
        """Show how the run has ended, and where its report is, if it has one."""
        link = report.resolve().as_uri() if report else ""
        self._write(stage="", fraction=1.0, words="", left="", ended=how, report=link)

    def _write(self, **shown: Any) -> None:
        self._written = time.monotonic()
        try:
            self._draw(**shown)
        except Exception as error:  # whatever is wrong with a page, the run that it shows goes on
            if not self._fails:
                self.note(f"{self.path}: cannot be written: {first_line(error)}")
            self._fails = True

    def _draw(self, **shown: Any) -> None:
        page = render(
            TEMPLATES[LIVE], colors=COLORS, data=self.data, every=EVERY, figures=list(self._figures()), **shown
        )
        write_file(self.path, page.encode())

    def _figures(self) -> Iterator[dict[str, Any]]:
        files = {path: path.stat() for path in self.logs.glob(HISTORY)}
        for path, status in sorted(files.items(), key=lambda item: item[1].st_mtime):
            if status.st_mtime < self._began:
                continue
            if self._drawn.get(path, (0,))[0] != status.st_mtime_ns:
                self._drawn[path] = status.st_mtime_ns, _figure(path, self.balanced)
            yield self._drawn[path][1]


def _figure(path: Path, balanced: bool) -> dict[str, Any]:
    stage = path.parts[-3].rpartition("-")[0]
    with path.open(encoding="utf-8", newline="") as stream:
        rows = tuple(
            Epoch(
                epoch=int(row["epoch"]),
                learning_rate=float(row["learning_rate"]),
                loss=float(row["loss"]),
                validation_accuracy=float(row["validation_accuracy"]),
                validation_cross_entropy=float(row["validation_cross_entropy"]),
                validation_recall=float(row["validation_recall"]),
            )
            for row in csv.DictReader(stream)
        )
    training = Training(name=path.parts[-2], precision="", history=rows, warnings=())
    chart = curves(f"{stage}, {training.name}", (training,), balanced)
    return {"svg": Markup(as_inline_svg(chart)), "caption": chart.caption}
