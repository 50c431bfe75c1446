"""How far training images may be changed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Augmentation(BaseModel):
    """How far training images may be changed; a change of either sign is drawn evenly from minus to plus its limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="Directions in which images are mirrored, each with probability one half."
    )
    shift: float = Field(0.1, ge=0, lt=1, description="Largest shift in both directions, a fraction of the side.")
    rotation: float = Field(
        10.0,
        ge=0,
        le=180,
        description="Largest rotation of a square, in degrees; rectangles: times shorter by longer side.",
    )
    zoom: float = Field(0.1, ge=0, lt=1, description="Largest change of the size, a fraction of it.")
    crop: float = Field(
        1.0, gt=0, le=1, description="Smallest part of the area that a random crop keeps, a fraction; 1: no crop."
    )
    brightness: float = Field(0.0, ge=0, le=1, description="Largest change added, a fraction of the full range.")
    contrast: float = Field(
        0.0, ge=0, lt=1, description="Largest change of the factor, else 1, about the image's mean."
    )
    saturation: float = Field(
        0.0, ge=0, le=1, description="Largest change of the factor, else 1, about a pixel's grey; colour images only."
    )
    erasing: float = Field(
        0.0, ge=0, le=1, description="Largest part of the area that a blanked rectangle covers, a fraction."
    )
    randaugment: int = Field(0, ge=0, le=8, description="Number of RandAugment operations per image.")
    randaugment_magnitude: float = Field(
        0.3, ge=0, le=1, description="Strength of RandAugment's operations, a fraction of the paper's strongest."
    )


class Mixing(BaseModel):
    """How images are mixed with each other; if both ways are on, each image uses either with equal probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup's Beta(alpha, alpha); 0: none.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of CutMix's Beta(alpha, alpha); 0: none.")

    @property
    def is_on(self) -> bool:
        """Whether any images are mixed."""
        return bool(self.mixup or self.cutmix)
