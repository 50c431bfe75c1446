"""What a user sees during a run: progress bars on a terminal, or a line every few seconds if the output is a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from compress.durations import between

LINE_EVERY_SECONDS = 5.0
ENOUGH_SECONDS = 10.0  # of a stage's work, before its own speed tells how long it takes
JUMP = 5.0  # times the progress that was due: the training has just learned that it is shorter than it might have been
PRIOR_SECONDS = 10.0  # of a stage as long as expected, which what the first short stages take is weighed against


@dataclass(frozen=True)
class OpenEnd:
    """Of a training that ends once it learns no more: how short it may be, as a fraction of how long it may be, and the
    fraction of it in which the learning rate falls, once it has learned that.
    """

    least: float
    fall: float


@dataclass
class _Stage:
    """A stage that has begun.

    `resumed` is the fraction that an interrupted run had done. Speed is measured from `since`, a time and the fraction
    that was done by then. `shortened` is how many times shorter the stage is than it might have been.
    """

    name: str
    began: float
    resumed: float | None = None
    fraction: float = 0.0
    updated: float = 0.0
    since: tuple[float, float] | None = None
    shortened: float = 1.0

    def update(self, now: float, fraction: float) -> None:
        """Note what is done. Speed is measured from the second step on: the first one also prepares those after it."""
        if self.resumed is None:
            self.resumed = fraction
        elif fraction <= self.fraction:  # as after a validation, or in an epoch that starts again
            return
        if self.since is None and fraction > self.fraction > 0:
            self.since = now, fraction
        elif self.since and self.seconds:
            due = (now - self.updated) / self.seconds
            if fraction - self.fraction > JUMP * due and fraction > 1.05 * self.fraction:
                times = fraction / (self.fraction + due)
                self.since, self.shortened = (self.since[0], self.since[1] * times), self.shortened * times
        self.updated, self.fraction = now, fraction

    @property
    def seconds(self) -> float | None:
        """How long the whole stage takes at the speed measured so far; None as long as too little is measured."""
        if self.since is None or self.updated - self.since[0] < ENOUGH_SECONDS:
            return None
        return (self.updated - self.since[0]) / (self.fraction - self.since[1])

    def left(self, now: float, expected: float) -> float:
        """Return how many seconds the stage still takes; `expected` is for the whole, if its speed is not known."""
        if self.seconds is None:
            return max(0.0, expected * (1 - (self.resumed or 0.0)) - (now - self.began))
        return max(0.0, self.seconds * (1 - self.fraction) - (now - self.updated))

    def least_left(self, now: float, expected: float, end: OpenEnd | None) -> float:
        """Return how many seconds are left if the rate begins to fall as soon as it may, or has begun to."""
        left = self.left(now, expected)
        if end is None or self.shortened > 1.0:
            return left
        spared = 1.0 - min(1.0, max(end.least, self.fraction / (1.0 - end.fall)))
        return max(0.0, left - spared * (expected if self.seconds is None else self.seconds))


class Progress:
    """Shows which stage is running, how far it is, and how much time is left for the whole run.

    The time left is what the stage under way still takes at its measured speed, and what later stages are expected to
    take, corrected by how much longer or shorter than expected this run's stages have been. `show` is called at each
    change with the stage, the fraction that is done of it, a few words on it, and the time left in words.
    """

    def __init__(self, console: Console, show: Callable[[str, float, str, str], None] | None = None) -> None:
        self.console, self._also_show = console, show
        self._bars: Bars | None = None
        self._run_bar = self._stage_bar = TaskID(0)
        self._expected: dict[str, float] = {}
        self._to_do: list[str] = []
        self._ends: Mapping[str, OpenEnd] = {}
        self._stage: _Stage | None = None
        self._seen: list[tuple[float, float]] = []  # of each finished stage: seconds taken, and seconds expected
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def expect(self, stages: Mapping[str, float], ends: Mapping[str, OpenEnd] = MappingProxyType({})) -> None:
        """State which stages are still to run, in order, and how many seconds each is expected to take.

        Those in `ends` may also take less.
        """
        self._expected.update(stages)
        self._to_do, self._ends = list(stages), ends
        if stages and self.console.is_terminal and not self._bars:
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
        self._stage = _Stage(stage, time.monotonic())
        self._to_do = [name for name in self._to_do if name != stage]
        if self._bars:
            self._bars.reset(self._stage_bar, description=stage, total=1.0, words="")
        else:
            self.note(f"{stage}: starts ({self._time_left()})")
        self._show()

    def update(self, fraction: float, words: str) -> None:
        """Show that the current stage has done `fraction` (0 to 1) of its work."""
        if self._stage:
            self._stage.update(time.monotonic(), fraction)
        if self._bars:
            self._bars.update(self._stage_bar, completed=fraction, words=words)
        elif self._stage and time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self.note(f"{self._stage.name}: {fraction:4.0%}  {words}  ({self._time_left()})")
        self._show(words)

    def end(self, stage: str, seconds: float) -> None:
        """Show that a stage is finished and in the store."""
        if self._stage and stage in self._expected:
            if self._stage.seconds is None:
                part = 1.0 - (self._stage.resumed or 0.0)
                self._seen.append((time.monotonic() - self._stage.began, part * self._expected[stage]))
            else:
                self._seen.append((self._stage.seconds * self._stage.shortened, self._expected[stage]))
        self._stage = None
        self.note(f"{stage}: done in {seconds:.1f} s")
        self._show()

    def note(self, line: str) -> None:
        """Print a line that stays on the screen."""
        self._last_line = time.monotonic()
        self.console.print(Text(line), soft_wrap=True)

    @property
    def pace(self) -> float:
        """How many times as long as expected the stages so far have taken."""
        seen, stage = list(self._seen), self._stage
        if stage and stage.seconds is not None:
            seen.append((stage.seconds * stage.shortened, self._expected.get(stage.name, 0.0)))
        return (PRIOR_SECONDS + sum(took for took, _ in seen)) / (PRIOR_SECONDS + sum(planned for _, planned in seen))

    @property
    def left(self) -> tuple[float, float] | None:
        """How many seconds the run still takes, at least and at most; None if nothing is expected yet."""
        if not self._expected:
            return None
        now, stage, pace = time.monotonic(), self._stage, self.pace
        least = most = 0.0
        if stage:
            expected = pace * self._expected.get(stage.name, 0.0)
            least = stage.least_left(now, expected, self._ends.get(stage.name))
            most = stage.left(now, expected)
        for name in self._to_do:
            expected = pace * self._expected[name]
            least += expected * (self._ends[name].least if name in self._ends else 1.0)
            most += expected
        return least, most

    def _show(self, words: str = "") -> None:
        if self._also_show and self._stage:
            self._also_show(self._stage.name, self._stage.fraction, words, self._time_left())
        if self._bars:
            left, spent = self.left, time.monotonic() - self._began
            done = 0.0 if left is None else spent / ((spent + left[1]) or 1.0)
            self._bars.update(self._run_bar, completed=done, words=self._time_left())

    def _time_left(self) -> str:
        left = self.left
        return f"{between(*left)} left" if left else "time left: not known yet"
