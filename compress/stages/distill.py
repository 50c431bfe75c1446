"""Distill the pruned, quantized teacher into a small student, which learns from its logits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from compress.artifacts import Dataset, Models, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.plugins import Choice
from compress.training.settings import Engine, TrainingSettings

if TYPE_CHECKING:
    import numpy as np

    from compress.data.batches import Batches
    from compress.data.images import Images


class Student(Choice):
    """An architecture in students/."""

    package, entry = "students", "build"
    name: str = "plain"


class Loss(Choice):
    """A loss that makes the student follow its source's logits."""

    package, entry = "compress.distillation.losses", "loss"
    name: str = "hinton"


class Config(TrainingSettings):
    """The student, the loss, and how to train."""

    student: Student = Field(
        Student(), description="A file in students/; its options are those of its build(), such as width."
    )
    loss: Loss = Field(
        Loss(), description="A file in compress/distillation/losses/; its options are the loss's, such as temperature."
    )
    views: int = Field(8, ge=1, le=1000, description="Views of every image: the image itself and augmented ones.")
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over all views, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Views per step.")
    learning_rate: float = Field(0.1, gt=0, le=10, description="Peak of the learning rate.")
    weight_decay: float = Field(1e-3, ge=0, le=1, description="Decoupled weight decay of kernels.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Fraction of a label spread over all classes.")

    @property
    def network(self) -> tuple[str, Choice]:
        """The family and the choice of the network that is trained."""
        return "students", self.student


def run(
    config: Config, balance: Balance, train: Engine, source: Models, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the trained student's weights."""
    import numpy as np

    from compress import networks
    from compress.data.balance import with_synthetic
    from compress.data.images import images_of
    from compress.distillation.targets import logits_of_views
    from compress.tensorflow import start_afresh
    from compress.training.fit import fit

    start_afresh(context.seed)
    classes, seed = len(data.classes), context.seed
    images, labels = with_synthetic(images_of(data, "train"), data.labels("train"), balance.method, seed)
    source_logits = np.stack(logits_of_views(source.of("int8"), images, config.views, config.augmentation, context))
    loss = config.loss.function
    student = networks.build("students", config.student.name, config.student.options, data.image_shape, classes)
    fitted = fit(
        student,
        lambda y, logits: loss(logits, y[:, classes:], y[:, :classes]),
        _batches(config, balance, images, labels, source_logits, seed),
        (images_of(data, "validation"), data.labels("validation")),
        config,
        train,
        context,
        metric=balance.metric,
    )
    networks.save(student, out / "weights.npz")
    return Network(
        name=context.product or "student",
        stage=context.stage,
        family="students",
        architecture=config.student.name,
        options=config.student.options,
        image_shape=data.image_shape,
        classes=classes,
        weights=out / "weights.npz",
        history=fitted.history,
        precision={fitted.name: fitted.precision},
        limits={fitted.name: fitted.limit},
        kept={fitted.name: fitted.kept},
    )


def _batches(
    config: Config, balance: Balance, images: Images, labels: np.ndarray, source_logits: np.ndarray, seed: int
) -> Batches:
    """Return all views of the training images; targets `(b, 2 classes)` are one-hot labels, then the source's logits.

    `labels` is `(n,) int64`, `source_logits` `(views, n, classes) float32`.
    """
    import numpy as np

    from compress.data.balance import epoch_indices, image_weights
    from compress.data.batches import Batches, Epoch
    from compress.training.supervised import smoothed_one_hot

    def targets(indices: np.ndarray, views: np.ndarray) -> np.ndarray:
        # Keras hands a loss one tensor of targets: labels and logits side by side
        hard = smoothed_one_hot(labels[indices], source_logits.shape[2], config.label_smoothing)
        return np.concatenate([hard, source_logits[views, indices]], axis=1)

    def choose(epoch: int) -> Epoch:
        chosen = epoch_indices(labels, balance.method, seed, epoch)
        indices = np.tile(chosen, config.views)
        return Epoch(indices, np.repeat(np.arange(config.views), len(chosen)), draw_ids=indices)

    return Batches(
        images,
        targets,
        choose,
        config.batch_size,
        seed,
        config.augmentation,
        weights=image_weights(labels, balance.method),
    )
