"""The gate's statistics: pure functions over numbers, from samples to a verdict.

A block is a few pairs of samples, one of each arm, taken within milliseconds, so that drift and bursts of other load
affect both alike. Each block gives one number, the log of the ratio of its medians. These numbers are tested against
the margin, not against zero: the question is not whether the models differ, but whether the candidate is slower by more
than the margin. What the verdicts mean:

- `regression`: the candidate is slower by more than the margin. If it were not, such samples would come up at most once
  in a hundred checks.
- `pass`: the samples do not show that. The candidate might still be slower by up to the margin, or slightly more.
- `inconclusive`: nothing is known about the model; the machine was too noisy, or the time too short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

FIRST_LEVEL = 0.05  # p-values up to it call for a second look
SECOND_LEVEL = 0.01  # p-values up to it in a second look are a regression
CONFIDENCE = 0.95  # of the interval that is shown

Outcome = Literal["pass", "regression", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one model: the ratio of its time to its baseline's, with a 95 % interval from `low` to `high`.

    `limit` is 1 plus the margin; `p` is the probability of such samples if the true ratio were `limit`, adjusted for
    the number of models. `ratio`, `low`, `high` and `p` are None if the measurement was not completed. `why` is a line
    with the reason, empty for a pass.
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
        measured = "" if self.ratio is None else f" {self.ratio:.3f}x [{self.low:.3f}, {self.high:.3f}]"
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
    means = np.sort(_pairwise_means(log_ratios))
    at_most = _at_least(len(log_ratios))[::-1]  # the rank sum is symmetric about its mean
    outside = max(int((at_most <= (1 - confidence) / 2).sum()) - 1, 0)
    return float(np.exp(means[outside])), float(np.exp(means[len(means) - 1 - outside]))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979): many models give no more false alarms than one."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def first_look(log_ratios: Mapping[str, np.ndarray], margin: float) -> dict[str, Verdict]:
    """Return a verdict on each model from its log ratios, `(blocks,)`: a pass, or inconclusive until a second look."""
    return {
        name: replace(verdict, outcome="pass") if (verdict.p or 0) > FIRST_LEVEL else verdict
        for name, verdict in _measured(log_ratios, margin).items()
    }


def second_look(
    log_ratios: Mapping[str, np.ndarray], controls: Mapping[str, np.ndarray], margin: float
) -> dict[str, Verdict]:
    """Return a verdict on each model that did not pass its first look, from new log ratios, `(blocks,)`.

    `controls` holds the log ratios of a second copy of each baseline to the baseline itself. If not even these can be
    shown to lie within the margin, the machine is too noisy for a verdict, whatever the model's own log ratios are.
    """
    verdicts = _measured(log_ratios, margin)
    for name, verdict in verdicts.items():
        low, high = interval(controls[name], 1 - SECOND_LEVEL)
        if high > 1 + margin or low < 1 / (1 + margin):
            why = f"a copy of the baseline takes {estimate(controls[name]):.3f}x [{low:.3f}, {high:.3f}] of its time"
            verdicts[name] = replace(verdict, why=f"{why}: the machine is too noisy for a margin of {margin:g}")
        elif (verdict.p or 0) > SECOND_LEVEL:
            verdicts[name] = replace(verdict, outcome="pass")
        else:
            why = f"slower than {verdict.limit:g}x (p = {verdict.p:.2g})"
            verdicts[name] = replace(verdict, outcome="regression", why=why)
    return verdicts


def _measured(log_ratios: Mapping[str, np.ndarray], margin: float) -> dict[str, Verdict]:
    adjusted = holm([sign_flip_p(values, margin) for values in log_ratios.values()])
    return {
        name: Verdict(name, 1 + margin, estimate(values), *interval(values), p)
        for (name, values), p in zip(log_ratios.items(), adjusted, strict=True)
    }


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
