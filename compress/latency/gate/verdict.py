"""The gate's statistics: pure functions over numbers, from samples to a verdict.

A block is a few pairs of samples, one of each arm, taken within milliseconds, so that drift and bursts of other load
affect both alike. Each block gives one number, the log of the ratio of its medians. These numbers are tested against
the margin, not against zero: the question is not whether the models differ, but whether the candidate is slower by more
than the margin. What the verdicts mean:

- `regression`: the candidate is slower by more than the margin. If it were not, such samples would come up at most once
  in a hundred checks.
- `pass`: the candidate is slower by less than twice the margin. If it were not, such samples would come up at most
  three times in a hundred checks. Nor do the samples suggest that it is slower by more than the margin.
- `inconclusive`: neither can be shown; the machine was too noisy, or the time too short.

Both hold where the sessions of one model differ by chance as far as `SESSION_SD` says, but one thing: a model that is
slower by just the margin may then be a regression more often, which a wider margin prevents.

The looks are a group sequential test: what cannot be told in one is measured further, and the probabilities of error of
all looks add up to those above (Bonferroni), however often one looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Literal

import numpy as np

# Processes that a model which has not passed its first look has been measured in at each look after it
LATER_PROCESSES = (4, 8, 16, 32)

SUSPECT_LEVEL = 0.05  # with a p-value up to it nothing passes
REGRESSION_LEVEL = 0.01 / len(LATER_PROCESSES)  # p-values up to it in a later look are a regression
FIRST_PASS_LEVEL = 0.01  # of the test that a model in its first look is slower by less than twice the margin
PASS_LEVEL = 0.02 / len(LATER_PROCESSES)  # of that test in a later look
CONTROL_LEVEL = 0.01  # of the interval that a copy of the baseline has to be in
FAR_SLOWER = 5.0  # if all blocks show at least this ratio, and twice what the margin allows, no test is needed
CONFIDENCE = 0.95  # of the interval that is shown
BLOCKS = 10  # per process
# How far the times of two sessions of one model lie apart by chance: the standard deviation of a session's log time.
# With itself, the digits student of docs/figures.md took 0.96 to 1.06 times as long in two processes.
SESSION_SD = 0.02

Outcome = Literal["pass", "regression", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one model: the ratio of its time to its baseline's, with a 95 % interval from `low` to `high`.

    `limit` is 1 plus the margin; `p` is the probability of such samples if the true ratio were `limit`, after the first
    look adjusted for the number of models. `ratio`, `low`, `high` and `p` are None if the measurement was not
    completed; if the candidate did not even end, `ratio` and `low` are what it takes at least, and `high` is None.
    `why` is a line with the reason, empty for a pass.
    """

    name: str
    limit: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    outcome: Outcome = "inconclusive"
    why: str = ""

    def __str__(self) -> str:
        if self.ratio is None:
            measured = ""
        elif self.high is None:
            measured = f" at least {self.ratio:.1f}x"
        else:
            measured = f" {self.ratio:.3f}x [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.name}{measured} limit {self.limit:g}: {self.outcome}"


def block_log_ratios(candidate: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Return the log of the ratio of each block's medians, `(blocks,)`; both arms are `(blocks, pairs)`."""
    return np.log(np.median(candidate, axis=-1) / np.median(baseline, axis=-1))


def sign_flip_p(log_ratios: np.ndarray, margin: float) -> float:
    """Return the one-sided p-value for `log_ratios`, `(blocks,)`, to centre at `log(1 + margin)` or below.

    The exact sign-flip permutation test (Fisher 1935) on the ranks of the distances from the margin (Wilcoxon 1945).
    It uses ranks because a sum of the values themselves would be dominated by the few blocks hit by a burst of load.
    """
    values = log_ratios - np.log1p(margin)
    ranks = np.abs(values).argsort(kind="stable").argsort() + 1
    return float(_at_least(len(values))[ranks[values > 0].sum()])


def estimate(log_ratios: np.ndarray) -> float:
    """Return the estimated ratio, from the median of the means of all pairs of blocks (Hodges and Lehmann 1963)."""
    return float(np.exp(np.median(_pairwise_means(log_ratios))))


def interval(log_ratios: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the lowest and highest ratio that a two-sided `sign_flip_p` does not reject (Tukey 1949).

    A confidence of 95 % needs at least 6 blocks.
    """
    means = _pairwise_means(log_ratios)
    at_most = _at_least(len(log_ratios))[::-1]  # the rank sum is symmetric about its mean
    outside = max(int((at_most <= (1 - confidence) / 2).sum()) - 1, 0)
    ends = [outside, len(means) - 1 - outside]
    low, high = np.exp(np.partition(means, ends)[ends])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979): many models give no more false alarms than one."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def first_look(log_ratios: Mapping[str, np.ndarray], margin: float) -> dict[str, Verdict]:
    """Return a verdict on each model from its log ratios, `(blocks,)`, by itself.

    It is a pass, a regression if the model is several times slower, or inconclusive until a later look.
    """
    verdicts = {}
    for name, values in log_ratios.items():
        verdict = _measured(name, values, margin, sign_flip_p(values, margin))
        if is_far_slower(values, margin):
            verdicts[name] = _regression(verdict, "all blocks of samples show it")
        elif _is_near(values, margin, FIRST_PASS_LEVEL):
            verdicts[name] = replace(verdict, outcome="pass")
        else:
            verdicts[name] = verdict
    return verdicts


def later_look(
    log_ratios: Mapping[str, np.ndarray], controls: Mapping[str, np.ndarray], margin: float
) -> dict[str, Verdict]:
    """Return a verdict on each model that did not pass its first look, from new log ratios, `(blocks,)`.

    `controls` holds the log ratios of a second copy of each baseline to the baseline itself. If not even these can be
    shown to lie within the margin, the machine is too noisy for a verdict, unless the model's whole interval lies above
    the copy's by more than the margin. The p-values are adjusted for the number of models.
    """
    adjusted = holm([sign_flip_p(values, margin) for values in log_ratios.values()])
    verdicts = {}
    for (name, values), p in zip(log_ratios.items(), adjusted, strict=True):
        verdict = _measured(name, values, margin, p)
        low, high = interval(controls[name], 1 - CONTROL_LEVEL)
        quiet = high <= 1 + margin and low >= 1 / (1 + margin)
        if quiet and p <= REGRESSION_LEVEL:
            verdicts[name] = _regression(verdict, f"p = {p:.2g}")
        elif quiet and _is_near(values, margin, PASS_LEVEL):
            verdicts[name] = replace(verdict, outcome="pass")
        elif quiet:
            why = f"neither slower than {verdict.limit:g}x nor faster than {1 + 2 * margin:g}x can be shown"
            verdicts[name] = replace(verdict, why=why)
        else:
            copy = f"a copy of the baseline takes {estimate(controls[name]):.3f}x [{low:.3f}, {high:.3f}] of its time"
            apart = interval(values, 1 - CONTROL_LEVEL)[0] > high * (1 + margin)
            if apart and p <= REGRESSION_LEVEL:
                verdicts[name] = _regression(verdict, copy)
            else:
                verdicts[name] = replace(verdict, why=f"{copy}: the machine is too noisy for a margin of {margin:g}")
    return verdicts


def never_ended(verdict: Verdict, seconds: float, baseline_seconds: float) -> Verdict:
    """Return a verdict on a candidate that did not end in the seconds stated: a regression, with the least ratio."""
    ratio = seconds / baseline_seconds
    evidence = f"not measured within {seconds:.0f} s; the baseline is within {baseline_seconds:.1f} s"
    return _regression(replace(verdict, ratio=ratio, low=ratio), evidence)


def is_far_slower(log_ratios: np.ndarray, margin: float) -> bool:
    """Tell whether all blocks show that the candidate is several times slower."""
    return bool(log_ratios.min() >= np.log(far_slower(margin)))


def far_slower(margin: float) -> float:
    """Return the ratio from which on a candidate counts as several times slower."""
    return max(FAR_SLOWER, 2 * (1 + margin))


def _measured(name: str, log_ratios: np.ndarray, margin: float, p: float) -> Verdict:
    return Verdict(name, 1 + margin, estimate(log_ratios), *interval(log_ratios), p)


def _regression(verdict: Verdict, evidence: str) -> Verdict:
    return replace(verdict, outcome="regression", why=f"slower than {verdict.limit:g}x ({evidence})")


def _is_near(log_ratios: np.ndarray, margin: float, level: float) -> bool:
    """Tell whether a ratio of `1 + 2 * margin` is rejected at `level`, and one up to `1 + margin` is not suspect.

    A process's sessions favour one arm in all of its blocks, which the blocks themselves do not show. The mean of as
    many processes is therefore taken to be as much too low as happens once in `1 / level` times.
    """
    suspect = sign_flip_p(log_ratios, margin) <= SUSPECT_LEVEL
    too_low = NormalDist().inv_cdf(1 - level) * SESSION_SD * np.sqrt(2 * BLOCKS / len(log_ratios))
    return not suspect and sign_flip_p(-log_ratios - too_low, 1 / (1 + 2 * margin) - 1) <= level


def _pairwise_means(values: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(values))
    return (values[first] + values[second]) / 2


@cache
def _at_least(n: int) -> np.ndarray:
    """Return the probability that the sum of the ranks 1 to n, each in or out by a coin flip, is at least 0, 1, ..."""
    probabilities = np.zeros(n * (n + 1) // 2 + 1)
    probabilities[0] = 1.0
    for rank in range(1, n + 1):
        with_rank = np.zeros_like(probabilities)
        with_rank[rank:] = probabilities[:-rank]
        probabilities = (probabilities + with_rank) / 2
    return probabilities[::-1].cumsum()[::-1]
