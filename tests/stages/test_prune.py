from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress import networks
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.metrics.cost import cost_of_onnx
from compress.onnx_tools import scoring, sessions
from compress.onnx_tools.convert import to_onnx
from compress.pruning import masks
from compress.quantization.static import quantize
from compress.stages import prune
from compress.training.evaluation import forward_of, logits_of
from compress.training.settings import Engine, Schedule

Pruned = Callable[..., Network]


@pytest.fixture
def pruned(network: Network, data: Dataset, context: Context, tmp_path: Path) -> Pruned:
    """Prune the narrow student with these settings, and with one epoch if they say nothing else."""

    def run(**settings: Any) -> Network:
        config = prune.Config(
            **{"epochs": 1, "batch_size": 4, "sparsity": 0.75, "multiple": 1, "method": "magnitude", **settings}
        )
        return prune.run(config, Balance(), Engine(precision="float32"), network, data, tmp_path, context)

    return run


def kernels(network: Network) -> dict[str, np.ndarray]:
    return {layer.name: layer.kernel.numpy() for layer in networks.load(network).layers if hasattr(layer, "kernel")}


def nonzero(network: Network) -> list[int]:
    return [int(np.count_nonzero(kernel)) for kernel in kernels(network).values()]


def test_the_same_architecture_comes_out_with_zeros_and_the_network_that_came_in_is_left_as_it_was(
    network: Network, pruned: Pruned
) -> None:
    before = network.weights.read_bytes()

    sparse = pruned()

    assert network.weights.read_bytes() == before
    assert (sparse.stage, sparse.architecture, sparse.options) == ("here", network.architecture, network.options)
    assert sparse.widths == {}
    assert nonzero(sparse) == [int(0.25 * kernel.size) for kernel in kernels(network).values()]
    assert len(kernels(sparse)) == 7


def test_the_ramp_is_over_within_the_only_epoch(
    monkeypatch: pytest.MonkeyPatch, network: Network, data: Dataset, pruned: Pruned
) -> None:
    ends: list[int] = []
    with_masks = masks.with_masks

    def noted(model: Any, sparsity: float, initial: float, end_step: int, *others: Any, **named: Any) -> Any:
        ends.append(end_step)
        return with_masks(model, sparsity, initial, end_step, *others, **named)

    monkeypatch.setattr(masks, "with_masks", noted)
    steps = math.ceil(data.sizes["train"] / 2)

    sparse = pruned(batch_size=2, ramp=0.5)

    assert ends == [steps // 2]
    assert nonzero(sparse) == [int(0.25 * kernel.size) for kernel in kernels(network).values()]


def test_with_wsd_the_ramp_does_not_depend_on_how_many_epochs_there_may_be(
    network: Network, pruned: Pruned, notes: list[str]
) -> None:
    """Noise cannot be learned, and so the fall begins as soon as it may: after the ramp."""
    sparse = pruned(epochs=90, schedule=Schedule(shape="wsd", least=6), patience=1)

    assert len(sparse.history) < 0.33 * 90
    assert "the rate falls" in notes[0]
    assert nonzero(sparse) == [int(0.25 * kernel.size) for kernel in kernels(network).values()]


@pytest.mark.parametrize("rates", ["uniform", "global"])
@pytest.mark.parametrize("importance", ["taylor", "l2"])
def test_filters_are_removed_until_the_target_is_reached_and_the_network_exports(
    network: Network, pruned: Pruned, notes: list[str], tmp_path: Path, rates: str, importance: str
) -> None:
    narrow = pruned(method="filters", target=0.4, rates=rates, importance=importance)

    share = float(notes[0].split("; ")[1].split("%")[0])
    assert 30 < share <= 40
    assert all(np.count_nonzero(kernel) == kernel.size for kernel in kernels(narrow).values())
    assert narrow.widths == {
        name: kernel.shape[-1]
        for name, kernel in kernels(narrow).items()
        if kernel.shape[-1] < kernels(network)[name].shape[-1]
    }
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), np.uint8)
    exported = scoring.run(sessions.open_session(to_onnx(narrow, tmp_path / "narrow.onnx").file), images)
    np.testing.assert_allclose(exported, logits_of(forward_of(networks.load(narrow)), images), atol=1e-4)


def test_a_target_of_latency_is_one_of_predicted_time(
    network: Network, pruned: Pruned, notes: list[str], tmp_path: Path
) -> None:
    """The first convolution takes nearly all of the time, whatever multiplies most."""
    layers = dict.fromkeys((*kernels(network), ""), ((0, 1000000000.0), (0.0, 1.0)))
    layers["block1_conv1"] = ((0, 1e9), (0.0, 1e5))
    (tmp_path / "latency.json").write_text(json.dumps(layers))

    narrow = pruned(method="filters", target=0.5, target_of="latency")

    assert kernels(narrow)["block1_conv1"].shape[-1] == 1
    assert "of the MACs" in notes[0]


def test_both_removes_filters_and_then_sets_weights_of_the_others_to_zero(network: Network, pruned: Pruned) -> None:
    both = pruned(method="both", target=0.5)

    assert both.widths
    assert nonzero(both) == [max(1, int(0.25 * kernel.size)) for kernel in kernels(both).values()]


def test_two_of_each_four_weights_are_zero_in_the_exported_file_and_in_int8(
    network: Network, data: Dataset, pruned: Pruned, tmp_path: Path
) -> None:
    sparse = pruned(method="magnitude", pattern="2:4")

    fp32 = to_onnx(sparse, tmp_path / "fp32.onnx")
    images = images_of(data, "train")[:]
    int8 = quantize(fp32, images, tmp_path / "int8.onnx", calibration="minmax", activations="uint8")
    for model in (fp32, int8):
        checked = 0
        for array in map(numpy_helper.to_array, onnx.load(model.file).graph.initializer):
            if array.ndim == 4 and array.shape[1] >= 4:  # (out, in, height, width)
                whole = array[:, : array.shape[1] // 4 * 4].transpose(0, 2, 3, 1).reshape(-1, 4)
                assert ((whole == 0).sum(axis=1) >= 2).all()
                checked += 1
        assert checked == 4


def test_no_later_stage_loses_a_zero(network: Network, data: Dataset, pruned: Pruned, tmp_path: Path) -> None:
    sparse = pruned(method="both", target=0.6)

    fp32 = to_onnx(sparse, tmp_path / "fp32.onnx")
    images = images_of(data, "train")[:]
    int8 = quantize(fp32, images, tmp_path / "int8.onnx", calibration="minmax", activations="uint8")
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels(sparse).values())
    assert zeros > 0
    assert sum(layer.zeros for layer in cost_of_onnx(fp32.file).layers) == zeros
    assert sum(layer.zeros for layer in cost_of_onnx(int8.file).layers) >= zeros


def test_layers_that_are_named_lose_neither_filters_nor_weights(
    network: Network, pruned: Pruned, notes: list[str]
) -> None:
    both = pruned(method="both", target=0.6, whole=["block1*", "logits"])

    before, after = kernels(network), kernels(both)
    assert after["block1_conv1"].shape == before["block1_conv1"].shape
    assert np.all(after["block1_conv1"])
    assert np.all(after["logits"])
    assert "block1_conv1" not in both.widths
    assert any("keeps all filters of block1_conv1: so the settings say" in note for note in notes)


def test_a_name_that_no_layer_has_is_refused_with_the_nearest(pruned: Pruned) -> None:
    with pytest.raises(BadInputError, match=r"prune\.whole = 'block1_conv': no layer has this name; did you mean"):
        pruned(whole=["block1_conv"])


def test_a_network_of_which_nothing_can_be_removed_is_refused(pruned: Pruned) -> None:
    with pytest.raises(BadInputError, match=r"method = 'filters': no filter can be removed; should be magnitude"):
        pruned(method="filters", whole=["*"])


def test_a_network_that_has_lost_filters_can_lose_more(
    network: Network, data: Dataset, context: Context, pruned: Pruned, tmp_path: Path
) -> None:
    once = pruned(method="filters", target=0.6)
    for left in (*tmp_path.glob("*.npy"), *tmp_path.glob("training*")):
        left.unlink()
    config = prune.Config(epochs=1, batch_size=4, method="filters", multiple=1, target=0.5)

    (tmp_path / "again").mkdir()
    again = prune.run(config, Balance(), Engine(precision="float32"), once, data, tmp_path / "again", context)

    assert sum(kernel.size for kernel in kernels(again).values()) < sum(k.size for k in kernels(once).values())
    assert set(once.widths) <= set(again.widths)
    assert all(again.widths[name] <= width for name, width in once.widths.items())


def test_a_target_that_no_width_reaches_is_refused_with_the_least_that_is(pruned: Pruned) -> None:
    with pytest.raises(BadInputError, match=r"prune\.target = 0\.001: at least 0\.\d+ of the MACs is left"):
        pruned(method="filters", target=0.001)


def test_views_that_no_epoch_sees_are_not_made(pruned: Pruned, tmp_path: Path) -> None:
    pruned(epochs=2, views=5)

    assert sorted(file.name for file in tmp_path.glob("logits*")) == ["logits0.npy", "logits1.npy"]


@pytest.mark.parametrize(
    ("method", "setting", "counts"),
    [
        ("magnitude", {"target": 0.1, "importance": "l2", "multiple": 4}, False),
        ("magnitude", {"sparsity": 0.9}, True),
        ("filters", {"sparsity": 0.9, "ramp": 0.5, "pattern": "2:4"}, False),
        ("filters", {"target": 0.1}, True),
        ("both", {"sparsity": 0.9}, True),
        ("both", {"target": 0.1}, True),
    ],
)
def test_what_a_method_does_not_use_is_not_in_the_key(method: str, setting: dict[str, Any], counts: bool) -> None:
    usual, other = prune.Config(method=method), prune.Config(method=method, **setting)

    assert (usual.key_settings() != other.key_settings()) == counts
