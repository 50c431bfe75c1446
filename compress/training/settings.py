"""What every training can be told; stages add their own to it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from compress.data.augmentation import Augmentation, Mixing


class TrainingSettings(BaseModel):
    """Settings of the fit loop: SGD with Nesterov momentum under a one-cycle rate, early stopping on validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(6, ge=1, le=10_000, description="Passes over the training images, at most.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Images a step.")
    learning_rate: float = Field(0.02, gt=0, le=10, description="Peak of the one-cycle rate.")
    warmup: float = Field(0.25, ge=0, lt=1, description="Part of the steps in which the rate rises to its peak.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum.")
    weight_decay: float = Field(
        5e-3, ge=0, le=1, description="Decoupled decay of kernels: rate times this is taken off a step."
    )
    patience: int = Field(5, ge=1, description="Epochs without a better validation result before training stops.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Part of a label spread over all classes.")
    augmentation: Augmentation = Field(Augmentation(), description="Random changes of training images.")


class LabelSettings(TrainingSettings):
    """Settings of a training on labels, which can be mixed as the images are."""

    mixing: Mixing = Field(Mixing(), description="Images mixed with each other, and their labels alike.")
