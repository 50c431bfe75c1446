"""Settings that all trainings share; stages add their own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compress import machine
from compress.data.augmentation import Augmentation, Mixing
from compress.word_or_number import word_or_number

OptimizerName = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"]
Shape = Literal["constant", "step", "exponential", "polynomial", "cosine", "one_cycle", "plateau", "wsd"]
Strategy = Literal["none", "mirrored", "multi_worker", "parameter_server"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
NormStatistics = Literal["moving", "images"]

FORWARD = 1 / 3  # of a training step's time that its forward pass takes


class Schedule(BaseModel):
    """How the learning rate changes: a linear rise to its peak, then one of several shapes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Shape = Field(
        "one_cycle",
        description="constant; step: times `factor` after each `every`; exponential, polynomial (of `power`), cosine: "
        "down to `final`; one_cycle: straight down to 0; plateau: times `factor` after `patience` epochs without a "
        "better validation cross-entropy; wsd: constant until validation is no better, or hardly makes mistakes, then "
        "down to 0.",
    )
    warmup: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="Fraction of the steps, with wsd of those of the shortest training, in which the rate rises to its "
        "peak.",
    )
    factor: float = Field(0.1, gt=0, lt=1, description="What step and plateau multiply the rate by.")
    every: float = Field(0.3, gt=0, lt=1, description="step: fraction of the steps after warm-up between drops.")
    patience: int = Field(2, ge=1, description="plateau: epochs without improvement before a drop.")
    power: float = Field(2.0, gt=0, le=10, description="polynomial: 1 is a straight line.")
    final: float = Field(
        0.01, gt=0, lt=1, description="exponential, polynomial, cosine: rate at the end, as a fraction of the peak."
    )
    least: int = Field(100, ge=1, le=1_000_000, description="wsd: steps before the fall, unless `epochs` has fewer.")
    fall: float = Field(0.3, gt=0, lt=1, description="wsd: fraction of all steps in which the rate falls.")


AutoOrNumber = Annotated[
    float | Literal["auto"], word_or_number("auto", lambda number: number >= 0, "a number of 0 or more")
]


class TrainingSettings(BaseModel):
    """Settings of the fit loop: optimizer, rate, regularization, early stopping on validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(6, ge=1, le=10_000, description="Passes over the training images, at most.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Images per step, at most.")
    optimizer: OptimizerName = Field(
        "nesterov", description="sgd, momentum (heavy ball), nesterov, adam, adamw, rmsprop or adagrad."
    )
    learning_rate: float = Field(0.02, gt=0, le=10, description="Peak of the rate; a tenth to a hundredth for adam.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of momentum, nesterov and rmsprop.")
    schedule: Schedule = Field(Schedule(), description="How the rate changes.")
    weight_decay: float = Field(
        5e-3,
        ge=0,
        le=1,
        description="Decoupled decay of kernels: each step takes off the rate times this; not for adam (see adamw).",
    )
    l1: float = Field(0.0, ge=0, le=1, description="Weight in the loss of the sum of the kernels' absolute values.")
    l2: float = Field(0.0, ge=0, le=1, description="Weight in the loss of the sum of the kernels' squares.")
    clip_norm: AutoOrNumber = Field(
        "auto",
        description="Largest norm of all gradients together; 0: no clipping; auto: 1 where convolutions are trained "
        "without batch normalization, whose gradients nothing else bounds, otherwise 0.",
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Momentum of a moving average of the weights, which is then the result; 0: none."
    )
    patience: int = Field(
        5,
        ge=1,
        description="Epochs without a better validation result before training stops, or with wsd before the rate "
        "falls.",
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Fraction of a label that is spread over all classes.")
    augmentation: Augmentation = Field(Augmentation(), description="Random changes of training images.")


class LabelSettings(TrainingSettings):
    """Settings of a training on labels, which can be mixed along with the images."""

    mixing: Mixing = Field(Mixing(), description="Images mixed with each other, and their labels likewise.")


class Phase(BaseModel):
    """A phase of transfer learning, which trains the head, and perhaps the last blocks, with a rate of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blocks: int = Field(0, ge=0, description="How many of the last blocks train with the head; 0: the head alone.")
    epochs: int = Field(
        10, ge=1, le=10_000, description="Passes over the training images, at most; the head alone takes all."
    )
    learning_rate: float = Field(0.02, gt=0, le=10, description="Peak of the rate.")
    weight_decay: AutoOrNumber = Field(
        "auto",
        description="As `teacher.weight_decay`; auto: for the head alone 1000 / training images, at most 2, otherwise "
        "`teacher.weight_decay`.",
    )
    views: int = Field(
        1,
        ge=0,
        le=1000,
        description="Views of each image, itself and augmented ones, whose features from the frozen part are computed "
        "once and kept; with 0, or if images are mixed, features are computed in each epoch, augmented anew.",
    )

    def cost(self, all_blocks: int, is_mixed: bool) -> float:
        """Return about what the phase costs, in epochs of training all layers of a network of so many blocks.

        `is_mixed` tells whether images are mixed.
        """
        forward = self.epochs if is_mixed or not self.views else self.views
        return FORWARD * forward + self.epochs * self.blocks / all_blocks


class Engine(BaseModel):
    """What all trainings run on, and the precision that they compute in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Strategy = Field(
        "none",
        description="none; mirrored: all GPUs of this machine; multi_worker, parameter_server: the processes that "
        "TF_CONFIG or Slurm's variables name.",
    )
    precision: Precision = Field(
        "auto",
        description="Of convolutions and products: float32, bfloat16 (CPU), float16 (GPU, with loss scaling), or auto: "
        "for each stage the one whose steps are measured to be faster. Weights and losses are float32.",
    )
    norm_statistics: NormStatistics = Field(
        "moving",
        description="Means and variances of batch normalization: moving averages over the steps, or those of training "
        "images, computed after each epoch.",
    )

    @field_validator("precision")
    @classmethod
    def _has_kernels(cls, precision: Precision) -> Precision:
        if precision not in ("auto", "float32"):
            known = machine.precisions(machine.device_class())
            if precision not in known:
                raise ValueError(f"should be {' or '.join(reversed(known))} on this machine")
        return precision

    @model_validator(mode="after")
    def _suits_servers(self) -> Engine:
        if self.strategy == "parameter_server" and self.precision == "float16":
            raise ValueError("precision = 'float16': should be float32 or auto with parameter_server")
        return self


class SettledEngine(Engine):
    """What one stage trains on, `auto` resolved, and how many replicas; all of it changes what is trained."""

    replicas: int = Field(1, ge=0, description="Copies of the network that train together.")
