from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.small_models import write_failing, write_model
from compress.errors import BadInputError, LockedError
from compress.latency.gate import check as gate
from compress.latency.gate.check import Model, Settings
from compress.latency.gate.pairs import Request, Samples
from compress.latency.gate.verdict import LATER_PROCESSES


class Machine:
    """Answers for new processes: arms of known times, with jitter. Holds the requests."""

    def __init__(
        self, times: dict[str, float], control: float = 1.0, processes: int = 100, jitter: float = 0.01
    ) -> None:
        self.times, self.control, self.processes, self.jitter = times, control, processes, jitter
        self.requests: list[Request] = []
        self.random = np.random.default_rng(0)

    def measure_in_new_process(self, request: Request, seconds: float) -> Samples | None:
        self.requests.append(request)
        if len(self.requests) > self.processes:
            return None
        times = {arm: self.control if arm == "control" else self.times[file] for arm, file in request.files.items()}
        blocks = {
            arm: (self.random.normal(time, self.jitter, (request.blocks, 5)) * 1e6).astype(int).tolist()
            for arm, time in times.items()
        }
        return Samples(1, blocks, [], dict.fromkeys(times, 1), [0])


def check(monkeypatch: pytest.MonkeyPatch, machine: Machine, **settings: float) -> dict[str, gate.Checked]:
    monkeypatch.setattr(gate, "measure_in_new_process", machine.measure_in_new_process)
    models = [Model(name, Path(name), Path("baseline")) for name in machine.times if name != "baseline"]
    return {checked.model.name: checked for checked in gate.check(models, Settings(**settings))}  # type: ignore[arg-type]


def test_an_equal_model_passes_after_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"baseline": 1.0, "m": 1.0})

    checked = check(monkeypatch, machine)["m"]

    assert checked.verdict.outcome == "pass"
    assert checked.verdict.ratio == pytest.approx(1, abs=0.01)
    assert [set(request.files) for request in machine.requests] == [{"baseline", "candidate"}] * 2


def test_a_slower_model_is_measured_in_four_more_processes_with_a_control(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"baseline": 1.0, "m": 1.1})

    checked = check(monkeypatch, machine)["m"]

    assert checked.verdict.outcome == "regression"
    assert "slower than 1.05x" in checked.verdict.why
    assert [set(r.files) for r in machine.requests[2:]] == [{"baseline", "candidate", "control"}] * 4
    assert len({request.seed for request in machine.requests}) == 6


def test_the_margin_decides_what_is_a_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, Machine({"baseline": 1.0, "m": 1.1}), margin=0.2)["m"].verdict.outcome == "pass"


def test_a_noisy_control_makes_it_inconclusive_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = check(monkeypatch, Machine({"baseline": 1.0, "m": 1.1}, control=1.08))["m"]
    verdict = checked.verdict

    assert (verdict.outcome, len(checked.second)) == ("inconclusive", LATER_PROCESSES[-1])
    assert "too noisy for a margin of 0.05" in verdict.why


@pytest.mark.parametrize(
    ("processes", "why"),
    [
        (0, "the budget of 3 s ended after 0 of 2 processes"),
        (1, "the budget of 3 s ended after 1 of 2 processes"),
        (4, "the budget of 3 s ended after 2 of 4 processes"),
    ],
)
def test_a_budget_that_does_not_suffice_makes_it_inconclusive_and_says_so(
    processes: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine({"baseline": 1.0, "m": 1.1}, processes=processes)

    verdict = check(monkeypatch, machine, budget_s=3.0)["m"].verdict

    assert (verdict.outcome, verdict.why) == ("inconclusive", why)


def test_what_cannot_be_told_is_measured_further_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"baseline": 1.0, "m": 1.08}, jitter=0.12)

    checked = check(monkeypatch, machine)["m"]

    assert checked.verdict.outcome == "regression"
    assert len(checked.second) in LATER_PROCESSES[1:]
    assert len(machine.requests) == 2 + len(checked.second)


def test_a_budget_that_ends_while_it_cannot_tell_keeps_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = check(monkeypatch, Machine({"baseline": 1.0, "m": 1.1}, control=1.08, processes=8))["m"].verdict

    assert verdict.outcome == "inconclusive"
    assert verdict.why.endswith("too noisy for a margin of 0.05; the budget of 120 s ended after 6 of 8 processes")


@pytest.mark.parametrize("processes", [1, 2])
def test_many_times_slower_needs_no_second_look_nor_a_second_process(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = check(monkeypatch, Machine({"baseline": 1.0, "m": 65.0}, processes=processes))["m"].verdict

    assert verdict.outcome == "regression"
    assert verdict.ratio == pytest.approx(65, rel=0.01)


@pytest.mark.parametrize(
    ("baseline_s", "outcome", "ratio"),
    [(1.5, "regression", 40.0), (20.0, "inconclusive", None), (99, "inconclusive", None)],
)
def test_a_candidate_that_never_ends_is_a_regression_where_the_baseline_ends(
    baseline_s: float, outcome: str, ratio: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, machine = [0.0], Machine({"baseline": 1.0})

    def measure(request: Request, seconds: float) -> Samples | None:
        takes = 1e9 if request.files["candidate"] == "m" else baseline_s
        clock[0] += min(takes, seconds)
        return machine.measure_in_new_process(request, seconds) if takes <= seconds else None

    monkeypatch.setattr(gate, "measure_in_new_process", measure)
    monkeypatch.setattr(gate.time, "monotonic", lambda: clock[0])

    [checked] = gate.check([Model("m", Path("m"), Path("baseline"))], Settings())

    assert (checked.verdict.outcome, checked.verdict.ratio) == (outcome, ratio)
    assert clock[0] <= 120


def test_of_several_models_the_slow_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = check(monkeypatch, Machine({"baseline": 1.0, "a": 1.0, "b": 1.2, "c": 0.9}))

    assert {name: one.verdict.outcome for name, one in checked.items()} == {"a": "pass", "b": "regression", "c": "pass"}
    assert [name for name, one in checked.items() if one.second] == ["b"]


def test_where_something_else_measures_the_check_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from compress.latency.lock import machine_lock\n"
        "with machine_lock(): print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="another check or bench"):
            check(monkeypatch, Machine({"baseline": 1.0, "m": 1.0}))
        other.communicate("\n")

    assert check(monkeypatch, Machine({"baseline": 1.0, "m": 1.0}))["m"].verdict.outcome == "pass"


@pytest.mark.measures_time
def test_new_processes_measure_real_models_and_leave_this_one_alone(tmp_path: Path) -> None:
    once, often = write_model(tmp_path / "once.onnx"), write_model(tmp_path / "often.onnx", layers=6, width=16)
    [checked] = gate.check([Model("m", once, often)], Settings())

    assert checked.verdict.outcome == "pass"
    assert checked.verdict.ratio is not None
    assert checked.verdict.ratio < 0.9
    assert [np.shape(one.blocks["baseline"]) for one in checked.first] == [(10, 5)] * 2


def test_what_a_new_process_refuses_is_raised_here(tmp_path: Path) -> None:
    failing = write_failing(tmp_path / "failing.onnx")

    with pytest.raises(BadInputError, match=r"failing\.onnx: fails to run"):
        gate.check([Model("m", failing, failing)], Settings())
