from __future__ import annotations

import numpy as np
import pytest

from compress.graphs.groups import coupling_of
from compress.graphs.surgery import narrowed
from compress.pruning import sensitivity
from compress.pruning.sensitivity import REMOVED, Scores, Validation, of_filters, of_weights
from compress.tensorflow import keras, start_afresh
from compress.training.evaluation import evaluate, forward_of
from students import plain

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
LABELS = np.arange(40) % 3
VALIDATION = Validation(IMAGES, LABELS, "accuracy")


def model_of_noise() -> keras.Model:
    """Return a student whose normalization shifts and scales, so that channels matter however they are removed."""
    start_afresh(0)
    model = plain.build((16, 16, 1), 3, width=3)
    random = np.random.default_rng(1)
    model.set_weights(
        [random.uniform(0.2, 1.0, weight.shape) * random.choice([-1, 1]) for weight in model.get_weights()]
    )
    return model


def silent(what: str) -> None:
    pass


def test_a_layer_scores_as_the_network_does_from_which_the_filters_are_removed() -> None:
    model = model_of_noise()
    coupling = coupling_of(model)
    importance = np.random.default_rng(2).random(coupling.count)
    before = model.get_weights()

    found = of_filters(model, coupling, importance, VALIDATION, 1, silent)

    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    assert found.whole == evaluate(forward_of(model), IMAGES, LABELS).accuracy
    for group, scores in zip(coupling.groups, found.layers, strict=True):
        for share, score in zip(REMOVED, scores, strict=True):
            kept = np.ones(coupling.count, bool)
            order = np.argsort(importance[group.channels], kind="stable")
            kept[group.channels[order[: round(share * len(order))]]] = False
            if kept[group.channels].any():
                narrow = narrowed(model, coupling, kept)
                assert score == evaluate(forward_of(narrow), IMAGES, LABELS).accuracy


def test_the_smallest_weights_of_one_kernel_at_a_time_are_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = model_of_noise(), []
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    whole = {name: model.get_layer(name).kernel.numpy() for name in names}

    def look(self: Validation, forward: object) -> float:
        changed = [name for name in names if not np.array_equal(model.get_layer(name).kernel.numpy(), whole[name])]
        seen.append(changed)
        for name in changed:
            kernel = model.get_layer(name).kernel.numpy()
            assert np.abs(whole[name][kernel == 0]).max() <= np.abs(kernel[kernel != 0]).min()
        return 0.5

    monkeypatch.setattr(Validation, "score", look)

    assert of_weights(model, names, VALIDATION, 1, silent) == Scores(0.5, ((0.5,) * 4,) * len(names), 40)
    assert seen == [[], *([name] for name in names for _ in REMOVED)]


def test_of_large_networks_fewer_images_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "SCORED", 30)
    monkeypatch.setattr(sensitivity, "FEWEST", 10)
    monkeypatch.setattr(sensitivity, "MACS", 5 * 20 * 100)
    model = model_of_noise()

    def images(macs: int) -> int:
        return of_weights(model, ["logits"], VALIDATION, macs, silent).images

    assert [images(1), images(100), images(10_000)] == [30, 20, 10]
