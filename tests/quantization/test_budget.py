"""Networks that plain int8 ruins, and what brings them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.helper import make_node

from compress import plugins
from compress.artifacts import OnnxModel, Trial
from compress.data.balance import Metric
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session
from compress.quantization import budget
from compress.quantization.budget import Found, search
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.cures import bias_correction, calibration
from compress.quantization.layers import layers_of
from compress.quantization.settings import Calibrator
from compress.quantization.targets import TARGETS
from tests.quantization.conftest import CLASSES, Write

Search = Callable[[OnnxModel, float], Found]
Hard = Callable[[list[onnx.NodeProto]], OnnxModel]
WIDE = np.logspace(-1.5, 1.5, 8)[[3, 0, 6, 2, 7, 5, 1, 4]]  # channels from 1 to 1000
TO_LOGITS = [
    make_node("GlobalAveragePool", ["deep"], ["pooled"]),
    make_node("Flatten", ["pooled"], ["flat"]),
    make_node("Gemm", ["flat", "w", "c"], ["logits"], name="net/last/Gemm"),
]
FIRST = [
    make_node("Conv", ["x", "k", "b"], ["sums"], name="net/first/Conv"),
    make_node("Relu", ["sums"], ["h"]),
    make_node("Conv", ["h", "k2", "b2"], ["sums2"], name="net/second/Conv"),
    make_node("Relu", ["sums2"], ["h2"]),
]
CHAIN = [*FIRST, make_node("Conv", ["h2", "k3", "b3"], ["deep"], name="net/third/Conv"), *TO_LOGITS]
BRANCH = [
    *FIRST,
    make_node("Conv", ["h", "k3", "b3"], ["other"], name="net/third/Conv", pads=[0, 0, 0, 0]),
    make_node("Add", ["h2", "other"], ["deep"]),
    *TO_LOGITS,
]


@pytest.fixture
def hard(write: Write, pictures: np.ndarray) -> Hard:
    def of(nodes: list[onnx.NodeProto]) -> OnnxModel:
        """Return a network whose first layer gives channels of 1 to 1000, which the layers after it undo.

        It names all classes equally often, or nearly.
        """
        random = np.random.default_rng(3)
        undone = 1 / WIDE.reshape(1, 8, 1, 1)
        constants = {
            "k": random.normal(0, 1 / 200, (8, 1, 3, 3)) * WIDE.reshape(8, 1, 1, 1),
            "b": random.normal(0, 0.5, 8) * WIDE,
            "k2": random.normal(0, 0.3, (8, 8, 1, 1)) * undone,
            "b2": random.normal(0, 0.3, 8),
            "k3": random.normal(0, 0.3, (8, 8, 1, 1)) * (undone if nodes is BRANCH else 1),
            "b3": random.normal(0, 0.3, 8),
            "w": random.normal(0, 1, (8, CLASSES)),
            "c": np.zeros(CLASSES),
        }
        uneven = scoring.run(open_session(write(nodes, constants).file), pictures)
        return write(nodes, {**constants, "c": -np.median(uneven, axis=0)})

    return of


@pytest.fixture
def searched(pictures: np.ndarray, tmp_path: Path) -> Search:
    def of(model: OnnxModel, max_drop: float) -> Found:
        """Search with labels that the float model tells, on the images that it is surest of."""
        logits = scoring.run(open_session(model.file), pictures)
        margins = np.diff(np.sort(logits, axis=1)[:, -2:]).ravel()
        sure = margins > np.median(margins)
        labels = logits[sure].argmax(axis=1)
        workbench = Workbench(
            model, pictures[:100], pictures[sure], labels, "accuracy", TARGETS["this"], "uint8", tmp_path
        )
        return search(Candidate(model, Calibrator()), workbench, max_drop, lambda words: None)

    return of


def lost(trial: Trial) -> float:
    return 100 * (1 - trial.score)


def test_channels_of_1_to_1000_are_brought_back_for_nothing_where_no_branch_takes_them(
    hard: Hard, searched: Search
) -> None:
    found = searched(hard(CHAIN), 0.5)

    assert lost(found.trials[0]) > 5
    assert found.lost <= 0.5
    assert found.candidate.is_equalized
    assert found.candidate.in_float == ()
    assert [trial.what for trial in found.trials if trial.taken] == [found.candidate.told]
    assert {trial.cost for trial in found.trials} == {0.0}
    assert found.damages[0].layer == "second"  # which reads the wide channels
    ratios = [damage.signal_to_noise for damage in found.damages]
    assert ratios == sorted(ratios)


def test_layers_stay_in_float_where_nothing_cheaper_is_enough(hard: Hard, searched: Search) -> None:
    model = hard(BRANCH)
    found = searched(model, 0.5)

    assert lost(found.trials[0]) > 5
    assert found.lost <= 0.5
    assert {layer.name for layer in found.candidate.in_float} == {"net/second/Conv", "net/third/Conv"}
    assert "second, third in float" in found.candidate.told
    shares = {layer.name: layer.macs for layer in layers_of(model)}
    kept = sum(layer.macs for layer in found.candidate.in_float)
    assert found.trials[-1].cost == pytest.approx(kept / sum(shares.values()))
    assert found.trials[-1].taken


def test_nothing_is_tried_where_plain_int8_is_good_enough(hard: Hard, searched: Search) -> None:
    found = searched(hard(CHAIN), 99)

    assert [(trial.what, trial.taken) for trial in found.trials] == [("calibration minmax", True)]
    assert found.damages == ()


def test_a_search_that_finds_nothing_good_enough_returns_the_best_it_has(
    hard: Hard, searched: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "CURES", (calibration, bias_correction))
    found = searched(hard(BRANCH), 0.5)

    assert found.lost > 0.5
    assert found.lost == pytest.approx(min(map(lost, found.trials)))
    assert sum(trial.taken for trial in found.trials) == 1


def test_every_cure_is_part_of_the_search() -> None:
    named = sorted(cure.__name__.rpartition(".")[2] for cure in budget.CURES)
    assert named == plugins.names("compress.quantization.cures")


@pytest.mark.parametrize(("metric", "score"), [("accuracy", 3 / 4), ("recall", (2 / 3 + 1) / 2)])
def test_what_is_lost_is_that_of_the_metric(
    metric: Metric, score: float, hard: Hard, pictures: np.ndarray, tmp_path: Path
) -> None:
    labels = np.array([0, 0, 0, 1, 2])
    bench = Workbench(hard(CHAIN), pictures[:9], pictures[:5], labels, metric, TARGETS["this"], "uint8", tmp_path)

    assert bench.score(np.eye(CLASSES)[[0, 0, 3, 1]]) == pytest.approx(score)  # of the first four images
