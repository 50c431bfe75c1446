from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import networks
from compress.arrays import save_arrays
from compress.artifacts import Dataset, Network, Score, Unbalanced
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of
from compress.stages import teacher, unbalanced
from compress.training.evaluation import forward_of, logits_of
from compress.training.settings import Engine


@pytest.mark.parametrize(("method", "epochs"), [("none", 6), ("oversample", 0)])
def test_where_nothing_is_balanced_or_no_teacher_trained_nothing_is_compared(
    method: Any, epochs: int, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(teacher, "fit_teacher")
    save_arrays(tmp_path / "whole.npz", {"0000": np.zeros((2, 3), np.float32)})
    config = unbalanced.Config(weights=str(tmp_path / "whole.npz"), epochs=epochs)

    result = unbalanced.run(config, Balance(method=method), Engine(), data, tmp_path, context)

    assert result == Unbalanced(None)


def test_a_teacher_is_trained_without_balance_and_scored_on_the_test_images_of_each_class(
    network: Network, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Balance] = []

    def fit_teacher(config: Any, balance: Balance, *arguments: Any) -> Any:
        given.append(balance)
        return networks.load(network), ()

    monkeypatch.setattr(teacher, "fit_teacher", fit_teacher)

    result = unbalanced.run(
        unbalanced.Config(), Balance(method="oversample"), Engine(precision="float32"), data, tmp_path, context
    )

    labels = data.labels("test")
    right = logits_of(forward_of(networks.load(network)), images_of(data, "test")).argmax(axis=1) == labels
    counts = [(int(right[labels == label].sum()), int(np.sum(labels == label))) for label in range(3)]
    assert given == [Balance(method="none")]
    assert result == Unbalanced(tuple(Score("test", *count) for count in counts))
