"""Settings of the removal of filters."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from compress.plugins import Choice

Rates = Literal["uniform", "global"]
Pattern = Literal["any", "2:4"]
Method = Literal["filters", "magnitude", "both"]


class Importance(Choice):
    """A criterion by which channels are judged."""

    package, entry = "compress.pruning.importance", "importance"
    name: str = "taylor"


class FilterSettings(BaseModel):
    """How many filters are removed, and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = Field(
        "both",
        description="filters: whole filters are removed, which makes the network faster; magnitude: the smallest "
        "weights of each kernel become zero, which makes its compressed file smaller; both: the one, then the other.",
    )
    target: float = Field(
        0.25, gt=0, lt=1, description="Fraction of `target_of` that is left once filters are removed."
    )
    target_of: Literal["macs", "weights", "latency"] = Field(
        "macs",
        description="macs: multiply-accumulates of one image; weights: those of kernels and biases; latency: the time "
        "of one image in ONNX Runtime, in float with one thread, from each layer's measured on this machine.",
    )
    importance: Importance = Field(
        Importance(), description="A file in compress/pruning/importance/: which filters are removed first."
    )
    rates: Rates = Field(
        "global",
        description="uniform: each layer loses the same fraction of its filters; global: those go that matter "
        "least for what they cost, wherever they are.",
    )
    multiple: int = Field(8, ge=1, le=1024, description="Layers keep a multiple of so many filters.")
    importance_images: int = Field(
        1024, ge=1, le=1_000_000, description="Training images by which filters are judged, at most."
    )
