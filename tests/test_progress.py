from __future__ import annotations

import io
import math
from dataclasses import dataclass

import pytest
from rich.console import Console

from compress import progress as module
from compress.progress import OpenEnd, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@dataclass
class Training:
    """A stage as it goes in fact: what comes before its steps, epochs of steps, and what follows each epoch."""

    name: str
    expected: float
    before: float = 0.0
    first_step: float = 0.0
    epochs: int = 0
    steps: int = 100
    step: float = 0.5
    after_epoch: float = 0.0
    ends_after: int = 0  # epochs, if it stops early
    resumed: int = 0  # epochs that an interrupted run had done

    @property
    def seconds(self) -> float:
        epochs = (self.ends_after or self.epochs) - self.resumed
        return self.before + self.first_step + epochs * (self.steps * self.step + self.after_epoch)


def errors_of(run: list[Training], clock: Clock) -> list[tuple[float, float]]:
    """Run stages on a made clock; return after each step the time since the begin, and the error of the time left.

    The error is relative to the time that is really left; one of at most ten seconds counts as none.
    """
    progress = Progress(Console(file=io.StringIO(), width=100))
    progress.expect({stage.name: stage.expected for stage in run})
    began, end = clock.now, clock.now + sum(stage.seconds for stage in run)
    errors: list[tuple[float, float]] = []

    def pass_(seconds: float) -> None:
        clock.now += seconds
        left = progress.left
        assert left is not None
        assert left[0] == left[1]
        off = left[1] - (end - clock.now)
        errors.append((clock.now - began, off / (end - clock.now) if abs(off) > 10 else 0.0))

    for stage in run:
        progress.begin(stage.name)
        for _ in range(10):
            pass_(stage.before / 10)
            progress.update(0.0, "")
        if stage.resumed:
            progress.update(stage.resumed / stage.epochs, "goes on")
        clock.now += stage.first_step
        for epoch in range(stage.resumed, stage.ends_after or stage.epochs):
            for step in range(stage.steps):
                clock.now += stage.step
                progress.update((epoch + (step + 1) / stage.steps) / stage.epochs, "")
                pass_(0.0)
            clock.now += stage.after_epoch
            progress.update((epoch + 1) / stage.epochs, "")
        progress.end(stage.name, stage.seconds)
    return errors


def fashion_mnist(slower: float = 1.0, resumed: int = 0) -> list[Training]:
    """The course of preset fashion_mnist on a machine that is so many times slower than its rehearsals promised."""
    return [
        Training("teacher", 2800, 2, 15, 10, 446, 0.62 * slower, 12, resumed=resumed),
        Training("prune", 850, 5, 20, 3, 446, 0.64 * slower, 12),
        Training("quantize", 20, 24 * slower),
        Training("distill", 780, 190 * slower, 8, 15, 891, 0.04 * slower, 4),
        Training("quantize_student", 3, 2 * slower),
        Training("export", 16, 20 * slower),
        Training("bench", 46, 0, 0, 1, 4, 11),
        Training("report", 60, 57 * slower),
    ]


def digits() -> list[Training]:
    """The default run, in which stages are so short that what surrounds the steps counts."""
    return [
        Training("teacher", 85, 2, 9, 6, 34, 0.4, 2),
        Training("prune", 85, 3, 12, 6, 34, 0.4, 2),
        Training("quantize", 14, 15),
        Training("distill", 36, 6, 4, 10, 135, 0.02, 1),
        Training("quantize_student", 2, 3),
        Training("export", 14, 15),
        Training("bench", 46, 0, 0, 1, 4, 11),
        Training("report", 6, 8),
    ]


@pytest.mark.parametrize(
    "run",
    [fashion_mnist(), fashion_mnist(slower=1.3), fashion_mnist(slower=0.8), fashion_mnist(resumed=4), digits()],
    ids=["as measured", "slower than measured", "faster than measured", "resumed", "short"],
)
def test_from_the_second_minute_on_the_time_left_is_right_to_a_fifth(run: list[Training], clock: Clock) -> None:
    errors = errors_of(run, clock)

    assert sum(since > 60 for since, _ in errors) > 100
    assert max(abs(error) for since, error in errors if since > 60) <= 0.2


def test_a_training_that_stops_early_says_nothing_about_the_speed_of_later_ones(clock: Clock) -> None:
    def run(ends_after: int) -> list[Training]:
        return [Training("teacher", 500, epochs=10, ends_after=ends_after), Training("prune", 500, epochs=10)]

    early, whole = errors_of(run(3), clock), errors_of(run(0), clock)

    assert early[-1][1] == pytest.approx(whole[-1][1], abs=0.02)
    assert all(abs(error) < 0.05 for since, error in early if since > 150)


@pytest.mark.parametrize("falls_after", [3, 6])
def test_once_a_training_learns_that_it_is_shorter_the_time_left_is_right(falls_after: int, clock: Clock) -> None:
    """As with wsd: the fraction that is done is relative to what may be, then to what will be."""
    progress = Progress(Console(file=io.StringIO(), width=100))
    progress.expect({"teacher": 1000.0, "prune": 200.0}, {"teacher": OpenEnd(0.1, 0.3)})
    progress.begin("teacher")
    epochs, steps = falls_after + math.ceil(falls_after * 0.3 / 0.7), 100
    for step in range(epochs * steps):
        clock.now += 0.5
        known = step >= falls_after * steps
        progress.update((step + 1) / steps / (epochs if known else 20), "")
        least, most = progress.left or (math.inf, 0.0)
        in_fact = (epochs * steps - step - 1) * 0.5 + 200
        assert 0.95 * least <= in_fact <= 1.05 * most
        if known:
            assert least == most == pytest.approx(in_fact, rel=0.05)
            assert progress.pace == pytest.approx(1.0, abs=0.05)


def test_an_epoch_of_one_step_may_be_followed_by_a_long_validation(clock: Clock) -> None:
    progress = Progress(Console(file=io.StringIO(), width=100))
    progress.expect({"teacher": 100.0})
    progress.begin("teacher")
    for epoch in range(1, 5):
        clock.now += 1
        progress.update(epoch / 10, "")  # of the step
        clock.now += 15
        progress.update(epoch / 10, "")  # of the epoch

    assert progress.left == pytest.approx((6 * 16, 6 * 16), rel=0.2)


def test_what_may_also_take_less_is_told_as_such(clock: Clock) -> None:
    output = io.StringIO()
    progress = Progress(Console(file=output, width=100))
    progress.expect({"teacher": 1000.0, "report": 20.0}, {"teacher": OpenEnd(0.3, 0.3)})
    progress.begin("teacher")
    assert last_line(output) == "teacher: starts (5 to 17 min left)"
    clock.now += 1000
    progress.end("teacher", 1000.0)
    progress.begin("report")
    assert last_line(output) == "report: starts (about 20 s left)"


def begun(expected: dict[str, float]) -> tuple[Progress, io.StringIO]:
    """A run whose output is a file, in its first stage."""
    output = io.StringIO()
    progress = Progress(Console(file=output, width=100))
    progress.expect(expected)
    progress.begin("one")
    return progress, output


def last_line(output: io.StringIO) -> str:
    return output.getvalue().splitlines()[-1]


def test_the_time_left_is_told_with_how_far_a_stage_is(clock: Clock) -> None:
    progress, output = begun({"one": 40, "two": 20})
    for tenths in range(6):
        progress.update(tenths / 10, f"epoch {tenths}/10")
        clock.now += 4

    assert last_line(output) == "one:  40%  epoch 4/10  (about 44 s left)"


def test_before_anything_is_expected_no_time_is_told(clock: Clock) -> None:
    output = io.StringIO()
    Progress(Console(file=output, width=100)).begin("one")

    assert last_line(output) == "one: starts (time left: not known yet)"


def test_lines_are_seconds_apart(clock: Clock) -> None:
    progress, output = begun({"one": 40})
    for _ in range(100):
        clock.now += 0.1
        progress.update(0.1, "step")

    assert 1 <= output.getvalue().count("step") <= 2


def test_a_terminal_gets_bars(clock: Clock) -> None:
    output = io.StringIO()
    with Progress(Console(file=output, width=100, force_terminal=True)) as progress:
        progress.expect({"one": 20.0})
        progress.begin("one")
        progress.update(0.0, "")
        clock.now += 10
        progress.update(0.5, "epoch 1/2")
        progress.end("one", 20.0)

    assert "whole run" in output.getvalue()
    assert "one: done in 20.0 s" in output.getvalue()
