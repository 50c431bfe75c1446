from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.pruning import masks
from compress.pruning.settings import Pattern, ZeroSettings
from compress.tensorflow import keras, start_afresh
from students import plain


def pruned_kernels(sparsity: float, dense_ends: bool = False) -> list[np.ndarray]:
    start_afresh(0)
    model = masks.with_masks(
        plain.build((16, 16, 1), 3, width=3),
        ZeroSettings(sparsity=sparsity, initial_sparsity=0.5, updates=3, dense_ends=dense_ends),
        0,
        6,
    )
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    images, targets = np.random.default_rng(0).random((32, 16, 16, 1)), np.eye(3)[np.arange(32) % 3]
    model.fit(images, targets, batch_size=4, epochs=1, verbose=0, callbacks=[masks.callback()])
    return [layer.kernel.numpy() for layer in masks.without_masks(model).layers if hasattr(layer, "kernel")]


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.97])
def test_every_kernel_ends_with_the_sparsity_asked_for_and_hardly_more(sparsity: float) -> None:
    for kernel in pruned_kernels(sparsity):
        kept = np.count_nonzero(kernel)
        assert kept == max(1, int(np.floor(round(kernel.size * (1 - sparsity), 6))))


def test_dense_ends_leave_the_first_and_the_last_kernel_whole() -> None:
    first, *between, last = pruned_kernels(0.8, dense_ends=True)

    assert np.all(first)
    assert np.all(last)
    assert all(np.count_nonzero(kernel) <= 0.2 * kernel.size for kernel in between)


def test_the_largest_weights_are_the_ones_kept() -> None:
    start_afresh(0)
    model = plain.build((16, 16, 1), 3, width=3)
    before = model.get_layer("block2_conv1").kernel.numpy()
    masked = masks.with_masks(model, ZeroSettings(sparsity=0.8, initial_sparsity=0.8, updates=1), 0, 1)
    masked.compile(keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(from_logits=True))
    masked.fit(np.zeros((2, 16, 16, 1)), np.eye(3)[:2], epochs=2, verbose=0, callbacks=[masks.callback()])

    after = masks.without_masks(masked).get_layer("block2_conv1").kernel.numpy()
    threshold = np.abs(before)[after != 0].min()
    assert np.all(np.abs(before)[after == 0] <= threshold)


def test_the_stripped_model_has_the_weights_of_the_plain_architecture(tmp_path: Path) -> None:
    model = plain.build((16, 16, 1), 3)
    stripped = masks.without_masks(
        masks.with_masks(plain.build((16, 16, 1), 3), ZeroSettings(sparsity=0.5, initial_sparsity=0.5, updates=1), 0, 2)
    )

    assert [w.shape for w in stripped.get_weights()] == [w.shape for w in model.get_weights()]
    assert stripped.count_params() == model.count_params()


def test_weights_that_are_set_after_training_are_masked_too() -> None:
    """As a moving average is, which still holds something of what was pruned since."""
    start_afresh(0)
    model = masks.with_masks(
        plain.build((16, 16, 1), 3, width=3), ZeroSettings(sparsity=0.8, initial_sparsity=0.8, updates=1), 0, 1
    )
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros((4, 16, 16, 1)), np.eye(3)[[0, 1, 2, 0]], batch_size=2, verbose=0, callbacks=[masks.callback()])
    for layer in model.layers:
        for weight, _, _ in getattr(layer, "pruning_vars", []):
            weight.assign(np.ones(weight.shape))

    kernels = [layer.kernel.numpy() for layer in masks.without_masks(model).layers if hasattr(layer, "kernel")]

    assert all(np.count_nonzero(kernel) <= np.ceil(0.2 * kernel.size) for kernel in kernels)


@pytest.mark.parametrize(
    ("weights", "zeros"),
    [
        ([1, 1, 1, 1, 2, 3], [False, True, True, True, False, False]),  # of equal ones, the first stays
        ([-3, -0.1, 0.2, 2], [False, True, True, False]),
        ([0, 0, 0, 0], [False, False, True, True]),
    ],
)
def test_half_of_the_weights_are_zero_however_many_are_equal(weights: list[float], zeros: list[bool]) -> None:
    start_afresh(0)
    image = keras.Input((len(weights),))
    model = keras.Model(image, keras.layers.Dense(1, use_bias=False, name="dense")(image))
    model.get_layer("dense").set_weights([np.array(weights, np.float32)[:, np.newaxis]])
    masked = masks.with_masks(model, ZeroSettings(sparsity=0.5, initial_sparsity=0.5, updates=1), 0, 1)
    masked.compile(keras.optimizers.SGD(0.0), "mse")

    masked.fit(np.ones((2, len(weights))), np.ones((2, 1)), verbose=0, callbacks=[masks.callback()])

    [mask] = [mask.numpy()[:, 0] for layer in masked.layers for _, mask, _ in getattr(layer, "pruning_vars", [])]
    np.testing.assert_array_equal(mask == 0, zeros)
    kernel = masks.without_masks(masked).get_layer("dense").kernel.numpy()[:, 0]
    np.testing.assert_array_equal(kernel, np.where(zeros, 0, weights))


def test_momentum_moves_no_weight_that_is_masked() -> None:
    start_afresh(0)
    model = masks.with_masks(
        plain.build((16, 16, 1), 3, width=3), ZeroSettings(sparsity=0.75, initial_sparsity=0.75, updates=1), 0, 1
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.CategoricalCrossentropy(from_logits=True))
    images, targets = np.random.default_rng(0).random((8, 16, 16, 1)), np.eye(3)[np.arange(8) % 3]
    zeros = []
    for _ in range(3):
        model.fit(images, targets, batch_size=4, verbose=0, callbacks=[masks.callback()])
        zeros.append([mask.numpy() == 0 for layer in model.layers for _, mask, _ in getattr(layer, "pruning_vars", [])])

    kernels = [layer.kernel.numpy() for layer in masks.without_masks(model).layers if hasattr(layer, "kernel")]

    for first, last, kernel in zip(zeros[0], zeros[-1], kernels, strict=True):
        np.testing.assert_array_equal(first, last)
        np.testing.assert_array_equal(kernel == 0, last)


def trained(
    settings: ZeroSettings, begin: int, end: int, steps: int = 8, cloned: bool = False
) -> tuple[list[np.ndarray], list[float]]:
    """Return the kernels, and the mean sparsity after each step."""
    start_afresh(0)
    model = masks.with_masks(plain.build((16, 16, 1), 3, width=3), settings, begin, end)
    if cloned:
        weights = model.get_weights()
        model = keras.models.clone_model(model)
        model.set_weights(weights)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    images, targets = np.random.default_rng(0).random((4 * steps, 16, 16, 1)), np.eye(3)[np.arange(4 * steps) % 3]
    shares: list[float] = []

    def note(batch: int, logs: object) -> None:
        kept = [layer.pruning_vars[0][1].numpy().mean() for layer in model.layers if hasattr(layer, "pruning_obj")]
        shares.append(1.0 - float(np.mean(kept)))

    after = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    model.fit(images, targets, batch_size=4, epochs=1, verbose=0, callbacks=[masks.callback(), after])
    return [layer.kernel.numpy() for layer in masks.without_masks(model).layers if hasattr(layer, "kernel")], shares


def test_four_filters_in_a_row_share_their_zeros_and_the_last_ones_are_not_the_first_to_go() -> None:
    kernels, _ = trained(ZeroSettings(pattern="blocks", sparsity=0.5, updates=1), 0, 1)

    ragged = 0
    for kernel in kernels:
        assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.13)
        for first in range(0, kernel.shape[-1], masks.BLOCK):
            block = kernel[..., first : first + masks.BLOCK] == 0
            assert (block.all(axis=-1) | ~block.any(axis=-1)).all()
            ragged += bool(block.shape[-1] < masks.BLOCK and not block.all())
    assert ragged


@pytest.mark.parametrize("pattern", ["any", "2:4", "blocks"])
def test_a_clone_as_other_devices_train_it_has_the_same_masks(pattern: Pattern) -> None:
    settings = ZeroSettings(pattern=pattern, sparsity=0.6, updates=2)

    kernels, cloned = (trained(settings, 0, 4, cloned=cloned)[0] for cloned in (False, True))

    for kernel, same in zip(kernels, cloned, strict=True):
        np.testing.assert_array_equal(kernel, same)
    assert all((kernel == 0).any() for kernel in kernels[1:])  # the first has too few channels for 2:4


def test_all_kernels_share_the_zeros_but_a_tenth_of_each_stays() -> None:
    model = plain.build((16, 16, 1), 3, width=3)
    model.get_layer("block1_conv1").kernel.assign(1e-6 * model.get_layer("block1_conv1").kernel)
    sizes = {layer.name: int(np.size(layer.kernel)) for layer in model.layers if hasattr(layer, "kernel")}

    shares = masks.shares_of(model, ZeroSettings(spread="global", sparsity=0.6))

    assert shares.keys() == sizes.keys()
    assert shares["block1_conv1"] == pytest.approx(0.9, abs=0.04)
    assert max(shares.values()) <= 0.9
    zeros = sum(share * sizes[name] for name, share in shares.items())
    assert zeros == pytest.approx(0.6 * sum(sizes.values()), abs=1)


@pytest.mark.parametrize(
    ("shape", "begin", "end", "first", "full"),
    [("polynomial", 0, 4, 1, 4), ("polynomial", 3, 7, 3, 7), ("constant", 0, 4, 1, 1), ("constant", 3, 7, 3, 3)],
)
def test_the_ramp_begins_and_ends_where_it_should(shape: str, begin: int, end: int, first: int, full: int) -> None:
    settings = ZeroSettings(ramp_shape=shape, sparsity=0.75, initial_sparsity=0.4, updates=4)

    _, shares = trained(settings, begin, end)

    assert all(share == 0 for share in shares[: first - 1])
    assert shares[first - 1] > 0.3
    assert shares[-1] >= 0.75
    assert [share == shares[-1] for share in shares] == [step >= full for step in range(1, 9)]
