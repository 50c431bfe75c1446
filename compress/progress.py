"""What a user sees during a run: progress bars on a terminal, or a line every few seconds if the output is a file."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

LINE_EVERY_SECONDS = 5.0
ENOUGH_TO_TELL = 0.02  # of the run, before the time left is estimated


class Progress:
    """Shows which stage is running, how far it is, and how much time is left for the whole run.

    The time left is the time spent so far, scaled by the shares still to do; it gets more accurate as stages finish.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: Bars | None = None
        self._run_bar = self._stage_bar = TaskID(0)
        self._shares: dict[str, float] = {}
        self._done_share = 0.0
        self._done_before = 0.0  # by a run that was interrupted
        self._current = ""
        self._just_begun = False
        self._fraction = 0.0
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def start(self, stages: Sequence[tuple[str, float]]) -> None:
        """Start a run of these stages, given as pairs of name and share of the time, relative to the others."""
        self._shares = dict(stages)
        self._began = self._last_line = time.monotonic()
        if stages and self.console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description:<18}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True)),
                TimeElapsedColumn(),
            )
            self._bars = Bars(*columns, console=self.console, transient=True)
            self._run_bar = self._bars.add_task("whole run", total=1.0, words="")
            self._stage_bar = self._bars.add_task("", total=1.0, words="")
            self._bars.start()

    def begin(self, stage: str) -> None:
        """Show that a stage has started."""
        self._current, self._fraction, self._just_begun = stage, 0.0, True
        if self._bars:
            self._bars.reset(self._stage_bar, description=stage, total=1.0, words="")
        else:
            self.note(f"{stage}: starts ({self._time_left()})")
        self._show()

    def update(self, fraction: float, words: str) -> None:
        """Show that the current stage has done `fraction` (0 to 1) of its work.

        The first fraction of a stage counts as work of an earlier run, which the estimate of the time left leaves out.
        """
        if self._just_begun:
            self._done_before += fraction * self._shares.get(self._current, 0.0) / (sum(self._shares.values()) or 1.0)
        self._fraction, self._just_begun = fraction, False
        if self._bars:
            self._bars.update(self._stage_bar, completed=fraction, words=words)
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self.note(f"{self._current}: {fraction:4.0%}  {words}  ({self._time_left()})")
        self._show()

    def end(self, stage: str, seconds: float) -> None:
        """Show that a stage is finished and in the store."""
        self._done_share += self._shares.get(stage, 0.0)
        self._fraction = 0.0
        self.note(f"{stage}: done in {seconds:.1f} s")
        self._show()

    def note(self, line: str) -> None:
        """Print a line that stays on the screen."""
        self._last_line = time.monotonic()
        self.console.print(Text(line), soft_wrap=True)

    def _show(self) -> None:
        if self._bars:
            self._bars.update(self._run_bar, completed=self._fraction_of_run(), words=self._time_left())

    def _fraction_of_run(self) -> float:
        done = self._done_share + self._fraction * self._shares.get(self._current, 0.0)
        return min(1.0, done / (sum(self._shares.values()) or 1.0))

    def _time_left(self) -> str:
        fraction, spent = self._fraction_of_run(), time.monotonic() - self._began
        done_now = fraction - self._done_before
        if done_now < ENOUGH_TO_TELL:
            return "time left: not known yet"
        left = spent * (1 - fraction) / done_now
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"
