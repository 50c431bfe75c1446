"""Distill the pruned, quantized teacher into a small student, which learns from its logits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import Field

from compress.artifacts import Dataset, Models, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.distillation.settings import FollowingSettings
from compress.plugins import Choice
from compress.training.settings import Engine


class Student(Choice):
    """An architecture in students/."""

    package, entry = "students", "build"
    name: str = "plain"


class Config(FollowingSettings):
    """The student, the loss, and how to train."""

    student: Student = Field(
        Student(), description="A file in students/; its options are those of its build(), such as width."
    )
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over all views, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Views per step.")
    learning_rate: float = Field(0.1, gt=0, le=10, description="Peak of the learning rate.")
    weight_decay: float = Field(1e-3, ge=0, le=1, description="Decoupled weight decay of kernels.")

    @property
    def network(self) -> tuple[str, Choice]:
        """The family and the choice of the network that is trained."""
        return "students", self.student


def run(
    config: Config, balance: Balance, train: Engine, source: Models, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the trained student's weights."""
    from compress import networks
    from compress.distillation.following import Following
    from compress.onnx_tools import scoring
    from compress.onnx_tools.sessions import open_session
    from compress.tensorflow import start_afresh

    start_afresh(context.seed)
    chosen = config.student
    student = networks.build("students", chosen.name, chosen.options, data.image_shape, len(data.classes))
    session = open_session(source.of("int8").file, exact=True)  # the same targets on every processor
    following = Following(partial(scoring.run, session), config, balance, data, context)
    fitted = following.fit(student, train)
    networks.save(student, out / "weights.npz")
    return Network(
        name=context.product or "student",
        stage=context.stage,
        family="students",
        architecture=chosen.name,
        options=chosen.options,
        image_shape=data.image_shape,
        classes=len(data.classes),
        weights=out / "weights.npz",
        history=fitted.history,
        precision={fitted.name: fitted.precision},
        limits={fitted.name: fitted.limit},
        kept={fitted.name: fitted.kept},
    )
