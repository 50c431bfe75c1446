"""Which channels of a Keras graph belong together, so that they can only be removed together.

A channel that a convolution or dense layer makes goes through normalization, activations and pooling to whatever takes
it. Where branches are added, a channel of one is coupled to one of each other (Liu et al., "Group Fisher Pruning for
Practical Network Compression", 2021). Each channel is followed by itself, so that parts of a concatenation are told
apart, and so are the rows of a dense layer behind a flattened image.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.graphs.channels import Channels
from compress.graphs.coupling import Axes, Coupling, Group
from compress.graphs.layers import MAKERS, WEIGHTED, UnknownLayerError
from compress.tensorflow import keras, tf

L = keras.layers
PER_CHANNEL = {
    *(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.GaussianNoise, L.GaussianDropout, L.ActivityRegularization),
    *(L.ReLU, L.LeakyReLU, L.ELU, L.ThresholdedReLU),
    *(L.MaxPooling1D, L.MaxPooling2D, L.AveragePooling1D, L.AveragePooling2D),
    *(L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalAveragePooling1D, L.GlobalAveragePooling2D),
    *(L.ZeroPadding1D, L.ZeroPadding2D, L.Cropping1D, L.Cropping2D, L.UpSampling1D, L.UpSampling2D, L.Resizing),
}
"""Layers without weights that make of each channel one of its own."""

MERGING = {L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum}
RESHAPING = {L.Flatten, L.Reshape, L.Permute}
POINTWISE = {
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "sigmoid", "tanh"),
    *("hard_sigmoid", "softplus", "softsign", "exponential"),
}
"""Activations that are applied to each value by itself, unlike softmax."""


def coupling_of(model: Any, whole: Collection[str] = ()) -> Coupling:
    """Return the coupled channels of a functional Keras graph, channels last, without nested models.

    A layer of an unknown kind makes all channels that go in or come out stay. So do the model's inputs and outputs, and
    the channels that the layers `whole` make.
    """
    found = _Graph()
    for tensor in model.inputs:
        found.tensors[id(tensor)] = found.channels.new(tensor.shape[-1], "the images' channels stay")
    for node in _in_order(model):
        found.add(node)
    for tensor in model.outputs:
        found.channels.keep(found.tensors[id(tensor)], "")
    for name in found.made.keys() & set(whole):
        found.channels.keep(found.made[name], "so the settings say")
    return found.coupling()


def _in_order(model: Any) -> Iterable[Any]:
    """Yield the calls of a graph's layers, each after those whose outputs it takes."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


@dataclass
class _Graph:
    """A graph whose layers are added one by one: the channels of its tensors' last axes, by the tensors' ids."""

    channels: Channels = field(default_factory=Channels)
    tensors: dict[int, np.ndarray] = field(default_factory=dict)
    made: dict[str, np.ndarray] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, node: Any) -> None:
        """Add a call of a layer."""
        layer, outputs = node.layer, tf.nest.flatten(node.outputs)
        taken = [self.tensors[id(tensor)] for tensor in node.keras_inputs]
        if layer.weights:
            computed = node.keras_inputs if isinstance(layer, L.Conv2DTranspose) else outputs
            self.places[layer.name] += math.prod(computed[0].shape[1:-1])
        try:
            if len(outputs) != 1 or getattr(layer, "data_format", None) == "channels_first":
                raise UnknownLayerError("has several outputs" if len(outputs) != 1 else "has its channels first")
            self.tensors[id(outputs[0])] = self._given(layer, taken, node)
        except UnknownLayerError as error:
            reason = f"{layer.name} ({type(layer).__name__}) {error}"
            for channels in (*taken, self.made.get(layer.name, np.array([], int))):
                self.channels.keep(channels, reason)
            for tensor in outputs:
                self.tensors[id(tensor)] = self.channels.new(tensor.shape[-1] or 1 if tensor.shape.rank else 1, reason)

    def _given(self, layer: Any, taken: Sequence[np.ndarray], node: Any) -> np.ndarray:
        """Return the channels that a call of a layer gives; those that have to go together are coupled."""
        kind = type(layer)
        if kind in MERGING:
            return self._merged(taken)
        if kind is L.Concatenate:
            axis, rank = layer.axis, len(node.outputs.shape)
            return np.concatenate(taken) if axis in (-1, rank - 1) else self._merged(taken)
        if len(taken) != 1:
            raise UnknownLayerError("takes several inputs, and how it joins them is not known")
        [channels] = taken
        if kind in PER_CHANNEL or (kind is L.Activation and _is_pointwise(layer)):
            return channels
        if kind is L.Rescaling and np.ndim(layer.scale) == np.ndim(layer.offset) == 0:
            return channels
        if kind in RESHAPING:
            return _reshaped(layer, channels, node)
        if kind not in WEIGHTED:
            raise UnknownLayerError("is of a kind whose channels cannot be followed")
        return self._through_weights(layer, channels)

    def _merged(self, taken: Sequence[np.ndarray]) -> np.ndarray:
        if len({len(channels) for channels in taken}) > 1:
            raise UnknownLayerError("spreads one channel over many")
        for channels in taken[1:]:
            self.channels.couple(taken[0], channels)
        return taken[0]

    def _through_weights(self, layer: Any, channels: np.ndarray) -> np.ndarray:
        """Follow channels through a layer with weights; those of all its calls are coupled."""
        if type(layer) in MAKERS and layer.name not in self.made:
            self.made[layer.name] = self.channels.new(layer.units if type(layer) is L.Dense else layer.filters)
        if not _is_pointwise(layer):
            raise UnknownLayerError("has an activation over all channels")
        axes, given = WEIGHTED[type(layer)](layer, channels, self.made.get(layer.name))
        if layer.name in self.axes:
            for before, now in zip(self.axes[layer.name], axes, strict=True):
                for axis in before:
                    self.channels.couple(before[axis], now[axis])
        else:
            self.axes[layer.name] = axes
        return given

    def coupling(self) -> Coupling:
        """Return what has been found, coupled channels under the same number."""
        numbers, reasons = self.channels.resolved()
        makers: dict[int, list[str]] = defaultdict(list)
        for name, channels in self.made.items():
            for number in dict.fromkeys(numbers[channels].tolist()):
                makers[number].append(name)
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        whole: dict[str, str] = {}
        for number, names in makers.items():
            if number not in reasons:
                groups[tuple(names)].append(number)
            elif reasons[number]:
                whole |= dict.fromkeys(names, reasons[number])
        return Coupling(
            count=int(numbers.max()) + 1,
            made={name: numbers[channels] for name, channels in self.made.items()},
            axes={
                name: tuple({axis: numbers[channels] for axis, channels in axes.items()} for axes in per_weight)
                for name, per_weight in self.axes.items()
            },
            places=dict(self.places),
            groups=tuple(Group(names, np.array(channels)) for names, channels in groups.items()),
            whole=whole,
        )


def _is_pointwise(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is None or getattr(activation, "__name__", "") in POINTWISE


def _reshaped(layer: Any, channels: np.ndarray, node: Any) -> np.ndarray:
    """Return the channels of the last axis behind a layer that moves values but does not change any."""
    before = node.keras_inputs[0].shape[1:]
    if None in before:
        raise UnknownLayerError("takes images of any size")
    values = np.broadcast_to(channels, before)
    if type(layer) is L.Permute:
        values = values.transpose([axis - 1 for axis in layer.dims])
    else:
        values = values.reshape(node.outputs.shape[1:])
    rows = values.reshape(-1, values.shape[-1])
    if (rows != rows[0]).any():
        raise UnknownLayerError("takes channels apart")
    return rows[0]
