"""Settings of the removal of filters, and of weights that become zero."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from compress.plugins import Choice
from compress.word_or_number import NoneOrPoints, word_or_number

Rates = Literal["uniform", "global", "sensitivity"]
Method = Literal["filters", "magnitude", "both"]
Pattern = Literal["any", "2:4", "blocks"]

TARGET = 0.25  # where neither a target nor a drop is given
MOST = 0.9  # of a kernel's weights that may become zero if all kernels share them
SMALLER = 0.7  # of what the last try has left, while a search goes on


class Importance(Choice):
    """A criterion by which channels are judged."""

    package, entry = "compress.pruning.importance", "importance"
    name: str = "taylor"


AutoOrFraction = Annotated[
    float | Literal["auto"], word_or_number("auto", lambda fraction: 0 < fraction < 1, "a number between 0 and 1")
]


def _clusters(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and (value == 0 or 3 <= value <= 256):
        return value
    raise ValueError("should be 0, or 3 to 256")


Clusters = Annotated[int, BeforeValidator(_clusters)]


class FilterSettings(BaseModel):
    """How many filters are removed, and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = Field(
        "both",
        description="filters: whole filters are removed, which makes the network faster; magnitude: the smallest "
        "weights of each kernel become zero, which makes its compressed file smaller; both: the one, then the other.",
    )
    target: AutoOrFraction = Field(
        "auto",
        description="Fraction of `target_of` that is left once filters are removed; auto: 0.25, or with `max_drop` as "
        "little as that allows.",
    )
    target_of: Literal["macs", "weights", "latency"] = Field(
        "macs",
        description="macs: multiply-accumulates of one image; weights: those of kernels and biases; latency: the time "
        "of one image in ONNX Runtime, in float with one thread, from each layer's measured on this machine.",
    )
    max_drop: NoneOrPoints = Field(
        "none",
        description="Percentage points of validation accuracy, of mean recall if classes are balanced, that removing "
        "filters may cost: they go, and what is left is trained, again and again, as long as it costs no more.",
    )
    steps: int = Field(
        1, ge=1, le=100, description="In how many steps filters are removed; what is left is trained after each."
    )
    step_epochs: int = Field(1, ge=1, le=1000, description="Passes over the training images between two steps.")
    importance: Importance = Field(
        Importance(), description="A file in compress/pruning/importance/: which filters are removed first."
    )
    rates: Rates = Field(
        "global",
        description="uniform: each layer loses the same fraction of its filters; global: those go that matter "
        "least for what they cost, wherever they are; sensitivity: each layer loses as many as cost the same accuracy "
        "where it alone loses them.",
    )
    multiple: int = Field(8, ge=1, le=1024, description="Layers keep a multiple of so many filters.")
    importance_images: int = Field(
        1024, ge=1, le=1_000_000, description="Training images by which filters are judged, at most."
    )

    @model_validator(mode="after")
    def _agree(self) -> FilterSettings:
        if self.max_drop == "none":
            return self
        drop = f"max_drop = {self.max_drop:g}"
        if self.target != "auto":
            raise ValueError(f"{drop} and target = {self.target:g}: should be one of them")
        if self.steps > 1:
            raise ValueError(
                f"{drop} and steps = {self.steps}: should be one of them; max_drop takes as many as it needs"
            )
        if self.method == "magnitude":
            raise ValueError(f"{drop} and method = 'magnitude': should have filters or both, since it limits filters")
        return self

    @property
    def fraction(self) -> float:
        """The fraction of `target_of` that is left, if accuracy does not decide it."""
        return TARGET if self.target == "auto" else self.target


class ZeroSettings(BaseModel):
    """How many weights become zero, which, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sparsity: float = Field(0.8, gt=0, lt=1, description="Fraction of every kernel's weights that become zero.")
    spread: Literal["layer", "global"] = Field(
        "layer",
        description="layer: each kernel has that fraction; global: all together have it, the smallest weights of all, "
        "but a tenth of each kernel stays.",
    )
    pattern: Pattern = Field(
        "any",
        description="any: zeros lie where weights are smallest; 2:4: two of each four weights in a row are zero, "
        "whatever `sparsity`, for hardware that skips these; blocks: four filters in a row share their zeros.",
    )
    dense_ends: bool = Field(
        False,
        description="Whether the first and the last kernel keep all weights: they hold few, and the first is sensitive "
        "if no batch normalization follows it.",
    )
    ramp_shape: Literal["polynomial", "constant"] = Field(
        "polynomial",
        description="polynomial: the sparsity rises, first fast, then slowly; constant: it is the final one from the "
        "beginning of the ramp.",
    )
    ramp_begin: float = Field(
        0.0, ge=0, lt=1, description="Where the ramp begins, as a fraction of what `ramp` is a fraction of."
    )
    ramp: float = Field(
        0.33,
        gt=0,
        le=1,
        description="Fraction of the training, with wsd of the shortest one, after which the ramp ends.",
    )
    initial_sparsity: float = Field(0.5, ge=0, lt=1, description="Sparsity at which the ramp begins.")
    updates: int = Field(4, ge=1, description="How often the masks are computed anew during the ramp.")

    @model_validator(mode="after")
    def _agree_on_zeros(self) -> ZeroSettings:
        if self.ramp <= self.ramp_begin:
            raise ValueError(f"ramp = {self.ramp:g}: should be more than ramp_begin = {self.ramp_begin:g}")
        if self.spread == "global" and self.sparsity > MOST:
            raise ValueError(f"sparsity = {self.sparsity:g} and spread = 'global': should be {MOST:g} at most")
        return self
