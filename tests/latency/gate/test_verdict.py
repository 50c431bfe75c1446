from __future__ import annotations

import itertools

import numpy as np
import pytest

from compress.latency.gate.verdict import (
    Verdict,
    block_log_ratios,
    estimate,
    first_look,
    holm,
    interval,
    second_look,
    sign_flip_p,
)

MARGIN = 0.05


def simulate(
    rng: np.random.Generator, processes: int, slowdowns: list[float], bias: float = 0.01, jitter: float = 0.02
) -> np.ndarray:
    """Return what arms of known slowdowns take on a bad machine, `(arms, blocks, pairs)`, ten blocks a process.

    The machine gets slower by 10 % during each process; in bursts, a quarter of the time, everything takes 1.5 times as
    long; a sample in twenty is a spike of up to some times its length; each process has sessions that are faster or
    slower by `bias`; each sample differs by `jitter`.
    """
    arms, blocks = len(slowdowns), processes * 10
    steps = blocks * 5 * arms  # samples in the order in which they are taken
    noise = np.tile(np.linspace(0, np.log(1.1), steps // processes), processes)
    noise += np.repeat(rng.random(-(-steps // 25)) < 0.25, 25)[:steps] * np.log(1.5)
    noise += (rng.random(steps) < 0.05) * rng.exponential(1.0, steps) + rng.normal(0, jitter, steps)
    order = rng.random((blocks, 5, arms)).argsort(axis=-1)  # in each pair the arms come in an order of their own
    sessions = np.repeat(rng.normal(0, bias, (processes, 1, arms)), 10, axis=0) + np.log(slowdowns)
    return np.exp(np.take_along_axis(noise.reshape(order.shape), order, axis=-1) + sessions).transpose(2, 0, 1)


def check(rng: np.random.Generator, slowdown: float, **noise: float) -> Verdict:
    """Return the verdict on one simulated model, as the gate comes to it."""
    baseline, candidate = simulate(rng, 2, [1.0, slowdown], **noise)
    verdict = first_look({"m": block_log_ratios(candidate, baseline)}, MARGIN)["m"]
    if verdict.outcome == "pass":
        return verdict
    baseline, candidate, control = simulate(rng, 4, [1.0, slowdown, 1.0], **noise)
    ratios, controls = block_log_ratios(candidate, baseline), block_log_ratios(control, baseline)
    return second_look({"m": ratios}, {"m": controls}, MARGIN)["m"]


def test_identical_models_raise_no_alarm_under_drift_bursts_spikes_and_session_bias() -> None:
    rng = np.random.default_rng(0)
    outcomes = [check(rng, 1.0).outcome for _ in range(2000)]

    assert outcomes.count("regression") <= 10
    assert outcomes.count("inconclusive") <= 200


@pytest.mark.parametrize(("slowdown", "least"), [(1.10, 475), (1.15, 495)])
def test_a_real_slowdown_is_detected_under_the_same_noise(slowdown: float, least: int) -> None:
    rng = np.random.default_rng(1)
    outcomes = [check(rng, slowdown).outcome for _ in range(500)]

    assert outcomes.count("regression") >= least


def test_where_sessions_differ_more_than_the_margin_the_control_prevents_a_false_alarm() -> None:
    rng = np.random.default_rng(2)
    outcomes = [check(rng, 1.0, bias=0.10).outcome for _ in range(500)]

    assert outcomes.count("inconclusive") > 50
    assert outcomes.count("regression") <= 10


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


def test_with_several_models_the_limit_is_stricter_for_each() -> None:
    def blocks(above: int) -> np.ndarray:  # of 20 blocks, so many above the margin
        return np.log1p(MARGIN) + np.where(np.arange(20) < above, 1, -1) * np.linspace(0.01, 0.02, 20)[::-1]

    alone = first_look({"a": blocks(11)}, MARGIN)
    many = first_look({name: blocks(11) for name in "abcdefghij"}, MARGIN)

    assert alone["a"].outcome == "inconclusive"
    assert {verdict.outcome for verdict in many.values()} == {"pass"}


def test_a_verdict_reads_as_one_line() -> None:
    verdict = Verdict("student", 1.05, 1.0213, 0.9944, 1.0487, 0.9, "pass")

    assert str(verdict) == "student 1.021x [0.994, 1.049] limit 1.05: pass"
    assert str(Verdict("student", 1.05)) == "student limit 1.05: inconclusive"
