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
from pydantic import ValidationError

from benchmarks.int8 import int8_of
from compress import networks
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of
from compress.distillation.following import Following
from compress.errors import BadInputError
from compress.graphs.costs import CostOf
from compress.graphs.groups import coupling_of
from compress.metrics.cost import cost_of_onnx
from compress.onnx_tools import scoring, sessions
from compress.onnx_tools.convert import to_onnx
from compress.pruning import masks, sensitivity, steps, tuning, widths
from compress.stages import prune, prune_student
from compress.training.evaluation import forward_of, logits_of
from compress.training.settings import Engine, Schedule
from compress.training.trainer import DivergedError

Pruned = Callable[..., Network]


@pytest.fixture
def pruned(network: Network, data: Dataset, context: Context, tmp_path: Path) -> Pruned:
    """Prune the narrow student with these settings, and with one epoch if they say nothing else."""

    def run(**settings: Any) -> Network:
        usual: dict[str, Any] = {"epochs": 1, "batch_size": 4, "method": "magnitude"}
        for method, key, value in (("filters", "sparsity", 0.75), ("magnitude", "multiple", 1)):
            if settings.get("method", "magnitude") != method:
                usual[key] = value
        config = prune.Config(**{**usual, **settings})
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

    def noted(model: Any, settings: Any, begin_step: int, end_step: int, *others: Any) -> Any:
        ends.append(end_step)
        return with_masks(model, settings, begin_step, end_step, *others)

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
    int8 = int8_of(fp32, images, tmp_path / "int8.onnx")
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
    int8 = int8_of(fp32, images, tmp_path / "int8.onnx")
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels(sparse).values())
    assert zeros > 0
    assert sum(layer.zeros for layer in cost_of_onnx(fp32.file).layers) == zeros
    assert sum(layer.zeros for layer in cost_of_onnx(int8.file).layers) >= zeros


@pytest.mark.parametrize("method", ["filters", "both"])
def test_clustered_kernels_have_few_values_and_keep_their_zeros(
    network: Network, pruned: Pruned, tmp_path: Path, method: str
) -> None:
    few = pruned(method=method, target=0.6, sparsity=0.5, clusters=8)

    zeros = []
    for kernel in kernels(few).values():
        few_to_draw_from = method == "both" and min((kernel < 0).sum(), (kernel > 0).sum()) <= 8
        assert len(np.unique(kernel)) <= 8 or few_to_draw_from
        zeros.append(float((kernel == 0).mean()))
    assert max(zeros) == 0 if method == "filters" else min(zeros) >= 0.49
    assert list(few.kept) == ["training", "clusters"]
    (tmp_path / "clusters.npz").unlink()  # as if the stage had been killed before the values were first kept
    before = few.weights.read_bytes()
    assert pruned(method=method, target=0.6, sparsity=0.5, clusters=8).weights.read_bytes() == before


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


@pytest.mark.parametrize("method", ["filters", "magnitude", "both"])
def test_layers_that_lose_too_much_alone_stay_whole(
    network: Network, pruned: Pruned, notes: list[str], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever is tried on the second layer with a kernel costs 40 points."""

    def scores(model: Any, tries: Any, *others: Any) -> sensitivity.Scores:
        return sensitivity.Scores(0.9, tuple((0.5 if "block1_conv1" in what else 0.9,) * 4 for what in tries), 10)

    monkeypatch.setattr(sensitivity, "_scores", scores)

    some = pruned(method=method, target=0.6, whole_above=30)

    assert "here: layers that alone lose more than 30 points: block1_conv1" in notes
    assert kernels(some)["block1_conv1"].shape == kernels(network)["block1_conv1"].shape
    assert np.all(kernels(some)["block1_conv1"])
    assert sum(map(np.count_nonzero, kernels(some).values())) < sum(map(np.size, kernels(network).values()))


def test_a_name_that_no_layer_has_is_refused_with_the_nearest(pruned: Pruned) -> None:
    with pytest.raises(BadInputError, match=r"here\.whole = 'block1_conv': no layer has this name; did you mean"):
        pruned(whole=["block1_conv"])


def test_a_network_of_which_nothing_can_be_removed_is_refused(pruned: Pruned) -> None:
    with pytest.raises(BadInputError, match=r"here\.whole and whole_above keep all filters; should leave some"):
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
    with pytest.raises(BadInputError, match=r"here\.target = 0\.001: at least 0\.\d+ of the MACs is left"):
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


def rates_of(network: Network) -> dict[str, list[float]]:
    """Return the learning rate at the end of each epoch, by training."""
    found: dict[str, list[float]] = {}
    for epoch in network.history:
        found.setdefault(epoch.training, []).append(epoch.learning_rate)
    return found


def test_in_several_steps_no_more_goes_than_at_once_and_the_rate_goes_on_where_it_was(
    network: Network, pruned: Pruned, tmp_path: Path
) -> None:
    narrow = pruned(method="filters", target=0.4, steps=3, rates="uniform", learning_rate=0.01)

    once = uniform_widths(network, 0.4)
    assert {name: kernel.shape[-1] for name, kernel in kernels(narrow).items()} == once
    rates = rates_of(narrow)
    assert list(rates) == ["step1", "step2", "training"]
    assert rates["step1"] == rates["step2"] == [pytest.approx(0.01)]
    assert list(narrow.kept) == list(rates)
    logged = (tmp_path / "logs" / "training" / "history.csv").read_text()
    assert len(logged.splitlines()) == 2


def uniform_widths(network: Network, target: float) -> dict[str, int]:
    """Return the widths of the network if each layer loses the same fraction, at once."""
    model = networks.load(network)
    coupling = coupling_of(model)
    cost_of = CostOf(model, coupling)
    whole = cost_of(np.ones(coupling.count, bool)).macs
    found = widths.chosen(
        coupling,
        np.ones(coupling.count),
        widths.uniform(coupling),
        1,
        lambda kept: cost_of(kept).macs / whole,
        target,
    )
    return {name: int(found.kept[channels].sum()) for name, channels in coupling.made.items()}


def test_a_search_goes_as_far_as_accuracy_allows_and_keeps_what_it_tried(
    network: Network, pruned: Pruned, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third try loses too much, and so does the one half way back: the second stays."""
    scores = iter([0.9, 0.6, 0.4, 0.5])
    monkeypatch.setattr(steps, "score_of", lambda fitted, metric: next(scores))
    monkeypatch.setattr(sensitivity.Validation, "score", lambda *given: 0.65)

    narrow = pruned(method="filters", max_drop=10)

    left = [float(trial.what.split("%")[0]) for trial in narrow.trials]
    assert [trial.score for trial in narrow.trials] == [0.9, 0.6, 0.4, 0.5]
    assert [trial.taken for trial in narrow.trials] == [False, True, False, False]
    assert left[0] <= 70
    assert left[1] <= 0.7 * left[0]
    assert left[2] < left[3] < left[1]
    assert sum("too much" in note for note in notes) == 2
    assert cost_of(narrow) == narrow.trials[1].cost
    assert list(rates_of(narrow)) == list(narrow.precision)
    assert len(narrow.precision) == 2


def cost_of(network: Network) -> float:
    model = networks.load(network)
    coupling = coupling_of(model)
    return CostOf(model, coupling)(np.ones(coupling.count, bool)).macs


def test_a_search_of_which_nothing_is_good_enough_leaves_the_network_as_it_was(
    network: Network, pruned: Pruned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "score_of", lambda fitted, metric: 0.1)
    monkeypatch.setattr(sensitivity.Validation, "score", lambda *given: 0.5)

    narrow = pruned(method="filters", max_drop=1)

    assert narrow.widths == {}
    assert not any(trial.taken for trial in narrow.trials)
    for name, kernel in kernels(narrow).items():
        np.testing.assert_array_equal(kernel, kernels(network)[name])


def test_a_search_ends_where_no_more_can_be_removed(
    network: Network, pruned: Pruned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity.Validation, "score", lambda *given: 0.0)

    narrow = pruned(method="both", max_drop=1)

    assert narrow.trials[-1].taken
    assert nonzero(narrow) == [max(1, int(0.25 * kernel.size)) for kernel in kernels(narrow).values()]


def test_by_sensitivity_filters_go_until_the_target_is_reached(network: Network, pruned: Pruned) -> None:
    narrow = pruned(method="filters", target=0.5, rates="sensitivity")

    assert cost_of(narrow) <= 0.5 * cost_of(network)


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"method": "magnitude", "target": 0.5}, ["here.target: has no effect with the other settings"]),
        ({"method": "filters", "sparsity": 0.9}, ["here.sparsity: has no effect with the other settings"]),
        ({"method": "both", "sparsity": 0.9, "target": 0.5}, []),
        ({"pattern": "2:4", "ramp": 0.5, "dense_ends": True}, ["here.ramp: has no effect with the other settings"]),
        ({"cluster_epochs": 1}, ["here.cluster_epochs: has no effect with the other settings"]),
        ({"method": "filters", "step_epochs": 3}, ["here.step_epochs: has no effect with the other settings"]),
    ],
)
def test_a_setting_without_effect_is_told(
    pruned: Pruned, notes: list[str], settings: dict[str, Any], lines: list[str]
) -> None:
    usual = {"sparsity": 0.8} if settings.get("pattern") == "2:4" else {}

    pruned(**usual, **settings)

    assert [note for note in notes if "no effect" in note] == lines


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 0.5, "max_drop": 1}, "max_drop = 1 and target = 0.5: should be one of them"),
        ({"steps": 2, "max_drop": 1}, "max_drop = 1 and steps = 2: should be one of them"),
        ({"method": "magnitude", "max_drop": 1}, "max_drop = 1 and method = 'magnitude': should have filters or both"),
        ({"target": 1.5}, "should be auto, or a number between 0 and 1"),
        ({"target": True}, "should be auto, or a number between 0 and 1"),
        ({"max_drop": -1}, "should be none, or points above 0 and below 100"),
        ({"sparsity": 1.0}, "should be less than 1"),
        ({"sparsity": 0.95, "spread": "global"}, "sparsity = 0.95 and spread = 'global': should be 0.9 at most"),
        ({"clusters": 2}, "should be 0, or 3 to 256"),
        ({"clusters": True}, "should be 0, or 3 to 256"),
        ({"ramp": 0.2, "ramp_begin": 0.3}, r"ramp = 0.2: should be more than ramp_begin = 0.3"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        prune.Config(**settings)


WAYS: list[dict[str, Any]] = [
    {"method": "filters", "target": 0.4, "steps": 3},
    {"method": "both", "max_drop": 50},
    {"method": "both", "target": 0.5, "sparsity": 0.5, "clusters": 8, "steps": 2},
]


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_run_that_is_broken_off_before_any_training_goes_on_to_the_same_bytes(
    network: Network,
    data: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: dict[str, Any],
    last: int,
) -> None:
    def run(name: str) -> bytes:
        folder = tmp_path / name
        (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        context = Context("here", 0, 0, folder / "checkpoint", folder / "logs", lambda *_: None, lambda _: None)
        config = prune.Config(**{"epochs": 2, "batch_size": 4, "multiple": 1, **settings})
        return prune.run(
            config, Balance(), Engine(precision="float32"), network, data, folder, context
        ).weights.read_bytes()

    expected = run("whole")
    fit, calls = Following.fit, 0

    def broken(self: Following, *given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > last:
            raise KeyboardInterrupt
        return fit(self, *given, **named)

    with monkeypatch.context() as while_broken:
        while_broken.setattr(Following, "fit", broken)
        with pytest.raises(KeyboardInterrupt):
            run("broken")

    assert run("broken") == expected


def test_each_training_goes_on_with_the_views_after_those_of_the_last(
    pruned: Pruned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []
    fit = Following.fit

    def noted(self: Following, *given: Any, **named: Any) -> Any:
        seen.append((named["name"], named["after"]))
        return fit(self, *given, **named)

    monkeypatch.setattr(Following, "fit", noted)

    pruned(method="filters", target=0.4, steps=3, step_epochs=2, epochs=3, views=6, clusters=8)

    assert seen == [("step1", 0), ("step2", 2), ("training", 4), ("clusters", 7)]
    assert len(list(tmp_path.glob("logits*"))) == 6


def test_a_search_that_diverges_ends_there(network: Network, pruned: Pruned, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(*given: Any, **named: Any) -> Any:
        raise DivergedError("the loss is inf")

    monkeypatch.setattr(tuning.Tuning, "train", diverges)

    narrow = pruned(method="filters", max_drop=5)

    assert [trial.score for trial in narrow.trials] == [0.0, 0.0]
    assert narrow.widths == {}


def test_with_balanced_classes_the_mean_recall_decides(
    network: Network, data: Dataset, context: Context, tmp_path: Path, notes: list[str]
) -> None:
    config = prune.Config(epochs=1, batch_size=4, method="filters", multiple=1, max_drop=99)

    narrow = prune.run(
        config, Balance(method="class_weights"), Engine(precision="float32"), network, data, tmp_path, context
    )

    assert narrow.trials
    assert any("validation recall" in note for note in notes)


def test_steps_towards_a_time_are_steps_of_predicted_time(
    network: Network, pruned: Pruned, notes: list[str], tmp_path: Path
) -> None:
    layers = dict.fromkeys((*kernels(network), ""), ((0, 1000000000.0), (0.0, 1.0)))
    layers["block1_conv1"] = ((0, 1e9), (0.0, 1e5))
    (tmp_path / "latency.json").write_text(json.dumps(layers))

    narrow = pruned(method="filters", target=0.5, target_of="latency", steps=2, rates="uniform")

    told = narrow.predicted_ms
    assert told[narrow.name] <= 0.5 * told[network.name]
    assert [note.split("keeps filters: ")[1][:22] for note in notes if "keeps filters" in note] == [
        "2 of 3 in block1_conv1"[:22],
        "1 of 3 in block1_conv1"[:22],
    ]


def test_clusters_are_refused_with_several_processes(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    engine = Engine.model_construct(**{**dict(Engine(precision="float32")), "strategy": "mirrored"})
    config = prune.Config(epochs=1, batch_size=4, method="magnitude", clusters=8)

    with pytest.raises(BadInputError, match=r"here.clusters = 8 and train.strategy = 'mirrored': .*; should be 0"):
        prune.run(config, Balance(), engine, network, data, tmp_path, context)


def test_the_student_is_pruned_by_its_own_settings_or_stays_as_it_is(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    def run(**settings: Any) -> Network:
        config = prune_student.Config(epochs=1, batch_size=4, multiple=1, **settings)
        return prune_student.run(config, Balance(), Engine(precision="float32"), network, data, tmp_path, context)

    same = run(target=0.4)
    assert same.weights.read_bytes() == network.weights.read_bytes()
    assert (same.name, same.stage) == (network.name, network.stage)
    narrow = run(enabled=True, method="filters", target=0.4)
    assert narrow.name == "net-pruned"
    assert cost_of(narrow) <= 0.4 * cost_of(network)
