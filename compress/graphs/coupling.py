"""What is known about coupled channels; see groups.py, which finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Axes = tuple[Mapping[int, np.ndarray], ...]  # of each of a layer's weights: the axes that run over channels, and which


@dataclass(frozen=True)
class Group:
    """Channels, by their numbers, that the same layers make together: any of them can be removed, from all of these."""

    layers: tuple[str, ...]
    channels: np.ndarray

    @property
    def name(self) -> str:
        """The group's name: those of its layers."""
        return " + ".join(self.layers)


@dataclass(frozen=True)
class Coupling:
    """The channels of a graph, coupled ones under one number from 0 to `count` - 1.

    `made` are the channels that each convolution or dense layer makes, in order; `axes` are the axes of each layer's
    weights that run over channels; `places` is at how many places of the image each layer computes, in all its calls;
    `groups` are the channels that can be removed, in the order of the graph; `whole` says of layers with channels that
    cannot be removed, other than the logits, why.
    """

    count: int
    made: Mapping[str, np.ndarray]
    axes: Mapping[str, Axes]
    places: Mapping[str, int]
    groups: tuple[Group, ...]
    whole: Mapping[str, str]
