from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import networks
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.pruning import masks
from compress.stages import prune
from compress.training.settings import Engine, Schedule


def test_the_same_architecture_comes_out_with_zeros_and_the_network_that_came_in_is_left_as_it_was(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    config = prune.Config(epochs=1, batch_size=4, sparsity=0.75)
    before = network.weights.read_bytes()

    pruned = prune.run(config, Balance(), Engine(precision="float32"), network, data, tmp_path, context)

    assert network.weights.read_bytes() == before
    assert (pruned.stage, pruned.architecture, pruned.options) == ("here", network.architecture, network.options)
    kernels = [layer.kernel.numpy() for layer in networks.load(pruned).layers if hasattr(layer, "kernel")]
    assert len(kernels) == 7
    for kernel in kernels:
        assert np.count_nonzero(kernel) == int(0.25 * kernel.size)


def test_the_ramp_is_over_within_the_only_epoch(
    monkeypatch: pytest.MonkeyPatch, network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    ends: list[int] = []
    with_masks = masks.with_masks

    def noted(model: Any, sparsity: float, initial: float, end_step: int, *others: Any) -> Any:
        ends.append(end_step)
        return with_masks(model, sparsity, initial, end_step, *others)

    monkeypatch.setattr(masks, "with_masks", noted)
    steps = math.ceil(data.sizes["train"] / 2)

    config = prune.Config(epochs=1, batch_size=2, sparsity=0.75, ramp=0.5)
    pruned = prune.run(config, Balance(), Engine(precision="float32"), network, data, tmp_path, context)

    assert ends == [steps // 2]
    kernels = [layer.kernel.numpy() for layer in networks.load(pruned).layers if hasattr(layer, "kernel")]
    assert [np.count_nonzero(kernel) for kernel in kernels] == [int(0.25 * kernel.size) for kernel in kernels]


def test_with_wsd_the_ramp_does_not_depend_on_how_many_epochs_there_may_be(
    network: Network,
    data: Dataset,
    context: Context,
    notes: list[str],
    tmp_path: Path,
) -> None:
    """Noise cannot be learned, and so the fall begins as soon as it may: after the ramp."""
    schedule = Schedule(shape="wsd", least=6)
    config = prune.Config(epochs=90, batch_size=4, sparsity=0.75, schedule=schedule, patience=1)

    pruned = prune.run(config, Balance(), Engine(precision="float32"), network, data, tmp_path, context)

    assert len(pruned.history) < 0.33 * 90
    assert "validation no better for" in notes[0]
    kernels = [layer.kernel.numpy() for layer in networks.load(pruned).layers if hasattr(layer, "kernel")]
    assert [np.count_nonzero(kernel) for kernel in kernels] == [int(0.25 * kernel.size) for kernel in kernels]
