from __future__ import annotations

import io

import pytest
from rich.console import Console

from compress import progress as module
from compress.progress import Progress


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


def run(clock: Clock) -> tuple[Progress, io.StringIO]:
    """A run of two stages of equal shares, its output a file."""
    output = io.StringIO()
    progress = Progress(Console(file=output, width=100))
    progress.start([("one", 0.5), ("two", 0.5)])
    progress.begin("one")
    return progress, output


def last_line(output: io.StringIO) -> str:
    return output.getvalue().splitlines()[-1]


def test_the_time_left_is_that_spent_scaled_by_the_shares_to_do(clock: Clock) -> None:
    progress, output = run(clock)
    progress.update(0.0, "")
    clock.now += 20
    progress.update(0.5, "epoch 1/2")

    assert last_line(output) == "one:  50%  epoch 1/2  (about 60 s left)"


def test_shares_are_relative_to_each_other(clock: Clock) -> None:
    output = io.StringIO()
    progress = Progress(Console(file=output, width=100))
    progress.start([("one", 30), ("two", 10)])
    progress.begin("one")
    progress.update(0.0, "")
    clock.now += 20
    progress.update(1 / 3, "epoch 1/3")

    assert last_line(output) == "one:  33%  epoch 1/3  (about 60 s left)"  # a quarter of the run took 20 s


def test_what_an_interrupted_run_had_done_took_none_of_this_runs_time(clock: Clock) -> None:
    progress, output = run(clock)
    progress.update(0.4, "goes on")
    clock.now += 10
    progress.update(0.6, "epoch 3/5")

    assert last_line(output).endswith("(about 70 s left)")  # a tenth of the run in 10 s, seven tenths to do


def test_lines_are_seconds_apart(clock: Clock) -> None:
    progress, output = run(clock)
    for _ in range(100):
        clock.now += 0.1
        progress.update(0.1, "step")

    assert 1 <= output.getvalue().count("step") <= 2


def test_nothing_is_foretold_before_there_is_something_to_go_by(clock: Clock) -> None:
    progress, output = run(clock)
    clock.now += 6
    progress.update(0.01, "step")

    assert "not known yet" in last_line(output)
    assert "left)" not in last_line(output)


def test_a_terminal_gets_bars(clock: Clock) -> None:
    output = io.StringIO()
    with Progress(Console(file=output, width=100, force_terminal=True)) as progress:
        progress.start([("one", 1.0)])
        progress.begin("one")
        progress.update(0.0, "")
        clock.now += 10
        progress.update(0.5, "epoch 1/2")
        progress.end("one", 20.0)

    assert "whole run" in output.getvalue()
    assert "one: done in 20.0 s" in output.getvalue()
