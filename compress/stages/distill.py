"""Distill the pruned, quantized teacher into a small student, which learns from its logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from compress import plugins
from compress.artifacts import Dataset, Network, Quantized
from compress.context import Context
from compress.training.settings import TrainingSettings

LOSSES = "compress.distillation.losses"


class Config(TrainingSettings):
    """Which student, which loss, how many views of the images."""

    student: str = Field("plain", description="A file in students/.")
    options: dict[str, Any] = Field({}, description="What its build() takes, such as width.")
    loss: str = Field("hinton", description="A file in compress/distillation/losses/.")
    loss_options: dict[str, Any] = Field({}, description="What the loss takes, such as temperature.")
    views: int = Field(8, ge=1, le=1000, description="Views of every image, the image itself and augmented ones.")
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over all views, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Views a step.")
    learning_rate: float = Field(0.1, gt=0, le=10, description="Peak of the one-cycle rate.")
    weight_decay: float = Field(1e-3, ge=0, le=1, description="Decoupled decay of kernels.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Part of a label spread over all classes.")

    @model_validator(mode="after")
    def _student_and_loss_exist(self) -> Config:
        plugins.check_options("options", plugins.find("students", self.student).build, self.options)
        plugins.check_options("loss_options", plugins.find(LOSSES, self.loss).loss, self.loss_options)
        return self

    def plugin_modules(self) -> list[str]:
        """Return the modules that this configuration names."""
        return [f"students.{self.student}", f"{LOSSES}.{self.loss}"]


def run(config: Config, quantize: Quantized, data: Dataset, out: Path, context: Context) -> Network:
    """Write the trained student's weights."""
    import numpy as np

    from compress import networks
    from compress.data.batches import epoch_batches
    from compress.distillation.targets import logits_of_views, make_views
    from compress.training.fit import fit
    from compress.training.supervised import smoothed_one_hot
    from compress.training.tensorflow import start_afresh

    start_afresh(context.seed)
    classes = len(data.classes)
    views = make_views(data.images("train"), config.views, config.augmentation, context.seed)
    source_logits = logits_of_views(quantize.int8, views, context.checkpoint / "logits.npy", context)
    labels = smoothed_one_hot(data.labels("train"), classes, config.label_smoothing)
    # Keras hands a loss one tensor of targets: labels and logits side by side
    targets = np.concatenate([np.tile(labels, (config.views, 1)), source_logits], axis=1)
    loss = plugins.find(LOSSES, config.loss).loss

    student = networks.build("students", config.student, config.options, data.image_shape, len(data.classes))
    fit(
        student,
        lambda y, logits: loss(logits, y[:, classes:], y[:, :classes], **config.loss_options),
        lambda epoch: epoch_batches(views, targets, config.batch_size, context.seed, epoch),
        (data.images("validation"), data.labels("validation")),
        config,
        context,
    )
    networks.save(student, out / "weights.npz")
    return Network(
        name="student",
        stage=context.stage,
        family="students",
        architecture=config.student,
        options=config.options,
        image_shape=data.image_shape,
        classes=classes,
        weights=out / "weights.npz",
    )
