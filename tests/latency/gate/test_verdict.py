from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from compress.latency.gate.verdict import (
    LATER_PROCESSES,
    Outcome,
    Verdict,
    block_log_ratios,
    estimate,
    first_look,
    holm,
    interval,
    later_look,
    never_ended,
    sign_flip_p,
)

MARGIN = 0.05


@dataclass(frozen=True)
class Noise:
    """What a machine does to samples; the defaults are a bad machine.

    It gets slower by a factor of `drift` during each process; in bursts, a share `bursts` of the time, everything takes
    1.5 times as long; a sample in twenty is a spike of up to some times its length if `spikes`; each process has
    sessions that are faster or slower by `session`; the log ratio of two arms in a block differs by `block`; each
    sample differs by `jitter`.
    """

    session: float = 0.01
    block: float = 0.0
    drift: float = 1.1
    bursts: float = 0.25
    spikes: bool = True
    jitter: float = 0.02

    def samples(self, rng: np.random.Generator, processes: int, slowdowns: list[float]) -> np.ndarray:
        """Return the times of arms of known slowdowns, `(arms, blocks, pairs)`, ten blocks per process."""
        arms, blocks = len(slowdowns), processes * 10
        steps = blocks * 5 * arms  # samples in the order in which they are taken
        noise = np.tile(np.linspace(0, np.log(self.drift), steps // processes), processes)
        noise += np.repeat(rng.random(-(-steps // 25)) < self.bursts, 25)[:steps] * np.log(1.5)
        noise += (rng.random(steps) < 0.05 * self.spikes) * rng.exponential(1.0, steps)
        noise += rng.normal(0, self.jitter, steps)
        order = rng.random((blocks, 5, arms)).argsort(axis=-1)  # in each pair the arms come in an order of their own
        arm = np.repeat(rng.normal(0, self.session, (processes, 1, arms)), 10, axis=0) + np.log(slowdowns)
        arm = arm + rng.normal(0, self.block / np.sqrt(2), (blocks, 1, arms))
        return np.exp(np.take_along_axis(noise.reshape(order.shape), order, axis=-1) + arm).transpose(2, 0, 1)


BAD = Noise()
QUIET = Noise(session=0, drift=1, bursts=0, spikes=False)
NOISES = {
    "blocks 0.05": replace(QUIET, block=0.05),
    "blocks 0.1": replace(QUIET, block=0.1),
    "blocks 0.2": replace(QUIET, block=0.2),
    "drift": replace(QUIET, block=0.05, drift=2.0),
    "bursts": replace(QUIET, block=0.05, bursts=0.25),
    "bad": BAD,
    "sessions 0.02": replace(QUIET, session=0.02),
    "sessions 0.02, blocks 0.05": replace(QUIET, session=0.02, block=0.05),
}


def check(
    rng: np.random.Generator, slowdowns: list[float], noise: Noise, looks: int = len(LATER_PROCESSES)
) -> list[Outcome]:
    """Return the outcomes for simulated models, as the gate comes to them in at most so many looks after the first."""
    first = {}
    for i, slowdown in enumerate(slowdowns):
        baseline, candidate = noise.samples(rng, 2, [1.0, slowdown])
        first[str(i)] = block_log_ratios(candidate, baseline)
    verdicts = first_look(first, MARGIN)
    undecided = [name for name in verdicts if verdicts[name].outcome == "inconclusive"]
    ratios, controls = ({name: np.empty(0) for name in undecided} for _ in range(2))
    for before, processes in itertools.pairwise((0, *LATER_PROCESSES[:looks])):
        for name in undecided:
            arms = noise.samples(rng, processes - before, [1.0, slowdowns[int(name)], 1.0])
            ratios[name] = np.append(ratios[name], block_log_ratios(arms[1], arms[0]))
            controls[name] = np.append(controls[name], block_log_ratios(arms[2], arms[0]))
        looked = later_look(ratios, controls, MARGIN) if undecided else {}
        verdicts |= {name: looked[name] for name in undecided}
        undecided = [name for name in undecided if verdicts[name].outcome == "inconclusive"]
    return [verdict.outcome for verdict in verdicts.values()]


def outcomes_of(
    slowdown: float, noise: Noise, models: int, checks: int, looks: int = len(LATER_PROCESSES)
) -> Counter[Outcome]:
    rng = np.random.default_rng(0)
    return Counter(outcome for _ in range(checks) for outcome in check(rng, [slowdown] * models, noise, looks))


MANY_MODELS = [*((noise, 1) for noise in NOISES), ("blocks 0.1", 10), ("bad", 10)]


@pytest.mark.parametrize(("noise", "models"), MANY_MODELS)
def test_equal_models_pass_and_raise_no_alarm(noise: str, models: int) -> None:
    outcomes = outcomes_of(1.0, NOISES[noise], models, checks=400 // models)

    assert outcomes["regression"] <= 2
    assert outcomes["pass"] >= (380 if NOISES[noise].block <= 0.1 else 300)


@pytest.mark.parametrize(("slowdown", "passes"), [(1.10, 12), (1.15, 2)])
@pytest.mark.parametrize(("noise", "models"), MANY_MODELS)
def test_a_slower_model_does_not_pass(noise: str, slowdown: float, passes: int, models: int) -> None:
    outcomes = outcomes_of(slowdown, NOISES[noise], models, checks=400 // models)

    assert outcomes["pass"] <= passes
    assert outcomes["regression"] >= (380 if NOISES[noise].block <= 0.1 else 200)


@pytest.mark.parametrize(("slowdown", "least"), [(1.10, 475), (1.15, 495)])
def test_on_a_bad_machine_a_real_slowdown_is_found_in_the_second_look(slowdown: float, least: int) -> None:
    assert outcomes_of(slowdown, BAD, 1, checks=500, looks=1)["regression"] >= least


def test_a_pass_allows_for_sessions_that_favour_the_candidate_in_all_blocks_of_a_process() -> None:
    """2 % one way or the other, less the more processes there are."""
    few, many = blocks(1.0, 0.001, n=20), blocks(1.0, 0.001, n=160)

    assert sign_flip_p(-few, 1 / 1.04 - 1) < 1e-4
    assert first_look({"m": few}, 0.02)["m"].outcome == "inconclusive"
    assert later_look({"m": many}, {"m": many}, 0.02)["m"].outcome == "pass"


def test_where_sessions_differ_more_than_the_margin_the_control_prevents_a_false_alarm() -> None:
    outcomes = outcomes_of(1.0, replace(BAD, session=0.10), 1, checks=500, looks=1)

    assert outcomes["inconclusive"] > 50
    assert outcomes["regression"] <= 10


def blocks(ratio: float, sd: float, n: int = 40) -> np.ndarray:
    """Return log ratios of blocks, evenly spread about a ratio."""
    return np.log(ratio) + np.linspace(-2, 2, n) * sd


@pytest.mark.parametrize(
    ("ratio", "sd", "outcome"),
    [
        (1.0, 0.01, "pass"),
        (1.04, 0.1, "inconclusive"),  # its interval reaches beyond 1.10
        (1.056, 0.01, "inconclusive"),  # 0.01 < p < 0.05
        (1.08, 0.01, "inconclusive"),
        (1.08, 0.1, "inconclusive"),
        (6.0, 0.01, "regression"),
    ],
)
def test_a_first_look_passes_only_what_is_shown_to_be_near(ratio: float, sd: float, outcome: str) -> None:
    assert first_look({"m": blocks(ratio, sd, n=20)}, MARGIN)["m"].outcome == outcome


def test_no_model_is_far_slower_within_a_wide_margin() -> None:
    values = {"m": blocks(5.5, 0.01, n=20)}

    assert first_look(values, 0.05)["m"].outcome == "regression"
    assert first_look(values, 5.0)["m"].outcome == "pass"


@pytest.mark.parametrize(
    ("ratio", "sd", "control_sd", "outcome"),
    [
        (1.0, 0.01, 0.01, "pass"),
        (1.08, 0.01, 0.01, "regression"),
        (1.0545, 0.01, 0.01, "inconclusive"),  # 0.01 < p < 0.05
        (1.04, 0.2, 0.01, "inconclusive"),
        (1.0, 0.01, 0.5, "inconclusive"),
        (1.2, 0.01, 0.5, "inconclusive"),  # the control reaches beyond it
        (4.9, 0.3, 0.5, "regression"),  # 4.9 [4.1, 5.9] against a control of 1 [0.7, 1.5]
    ],
)
def test_a_later_look_by_hand(ratio: float, sd: float, control_sd: float, outcome: str) -> None:
    found = later_look({"m": blocks(ratio, sd)}, {"m": blocks(1.0, control_sd)}, MARGIN)["m"]

    assert found.outcome == outcome
    assert bool(found.why) == (outcome != "pass")


def test_the_p_value_is_the_share_of_sign_flips_with_as_high_a_rank_sum() -> None:
    values = np.array([0.4, -0.1, 0.3, 0.2, -0.5])  # ranks 4, 1, 3, 2, 5
    flips = itertools.product((0, 1), repeat=5)
    sums = np.array([np.dot(flip, (4, 1, 3, 2, 5)) for flip in flips])

    assert sign_flip_p(values + np.log1p(MARGIN), MARGIN) == pytest.approx(np.mean(sums >= 4 + 3 + 2))


def test_at_the_margin_itself_the_first_look_rejects_at_its_level() -> None:
    rng = np.random.default_rng(3)
    p = [sign_flip_p(rng.normal(np.log(1.05), 0.03, 20), MARGIN) for _ in range(2000)]

    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    intervals = [interval(np.log(1.2) + rng.standard_t(2, 20) * 0.03) for _ in range(2000)]

    assert np.mean([low <= 1.2 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


def test_interval_and_test_agree() -> None:
    values = np.random.default_rng(5).normal(0, 0.05, 20)
    low, high = interval(values, confidence=0.9)

    for ratio, rejected in ((low * 0.999, True), (low * 1.001, False), (high * 0.999, False), (high * 1.001, True)):
        p = min(sign_flip_p(values, ratio - 1), sign_flip_p(-values, 1 / ratio - 1))
        assert (p <= 0.05) == rejected


def test_the_estimate_ignores_what_a_few_blocks_suffered() -> None:
    quiet = np.linspace(-0.01, 0.01, 20)
    disturbed = np.where(np.arange(20) < 4, quiet + 5, quiet)

    assert estimate(quiet) == pytest.approx(1)
    assert estimate(disturbed) == pytest.approx(1, abs=0.01)


def test_a_block_is_the_log_ratio_of_its_medians() -> None:
    candidate, baseline = np.array([[2.0, 4.0, 90.0], [1.0, 1.0, 1.0]]), np.array([[2.0, 1.0, 2.0], [2.0, 1.0, 9.0]])

    assert np.exp(block_log_ratios(candidate, baseline)) == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [([0.01], [0.01]), ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]), ([0.5, 0.9], [1.0, 1.0])],
)
def test_holm_by_hand(raw: list[float], adjusted: list[float]) -> None:
    assert holm(raw) == pytest.approx(adjusted)


def test_several_models_do_not_make_it_easier_to_pass_the_first_look() -> None:
    def above(many: int) -> np.ndarray:  # of 20 blocks, so many above the margin
        return np.log1p(MARGIN) + np.where(np.arange(20) < many, 1, -1) * np.linspace(0.01, 0.02, 20)[::-1]

    alone = first_look({"a": above(11)}, MARGIN)
    many = first_look({name: above(11) for name in "abcdefghij"}, MARGIN)

    assert {verdict.outcome for verdict in [*alone.values(), *many.values()]} == {"inconclusive"}


def test_with_several_models_an_alarm_needs_more_evidence() -> None:
    values, control = np.random.default_rng(5).normal(np.log(1.15), 0.1, 40), blocks(1.0, 0.01)

    def p(models: str) -> float | None:
        return later_look(dict.fromkeys(models, values), dict.fromkeys(models, control), MARGIN)["a"].p

    assert p("abcdefghij") == pytest.approx(10 * (p("a") or 0))


def test_a_verdict_reads_as_one_line() -> None:
    verdict = Verdict("student", 1.05, 1.0213, 0.9944, 1.0487, 0.9, "pass")

    assert str(verdict) == "student 1.021x [0.994, 1.049] limit 1.05: pass"
    assert str(Verdict("student", 1.05)) == "student limit 1.05: inconclusive"
    assert str(never_ended(Verdict("student", 1.05), 60, 1.5)) == "student at least 40.0x limit 1.05: regression"
