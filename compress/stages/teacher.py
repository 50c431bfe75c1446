"""Train the teacher on the labels, augmented, stopped by the validation split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from compress import plugins
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.training.settings import Engine, LabelSettings


class Config(LabelSettings):
    """Which architecture, trained how."""

    name: str = Field("vgg16", description="A file in teachers/.")
    options: dict[str, Any] = Field({}, description="What its build() takes, such as width.")

    @model_validator(mode="after")
    def _architecture_exists(self) -> Config:
        plugins.check_options("options", plugins.find("teachers", self.name).build, self.options)
        return self

    def plugin_modules(self) -> list[str]:
        """Return the modules that this configuration names."""
        return [f"teachers.{self.name}"]


def run(config: Config, balance: Balance, train: Engine, data: Dataset, out: Path, context: Context) -> Network:
    """Write the trained teacher's weights."""
    from compress import networks

    networks.save(fit_teacher(config, balance, train, data, context), out / "weights.npz")
    return Network(
        name="teacher",
        stage=context.stage,
        family="teachers",
        architecture=config.name,
        options=config.options,
        image_shape=data.image_shape,
        classes=len(data.classes),
        weights=out / "weights.npz",
    )


def fit_teacher(config: Config, balance: Balance, engine: Engine, data: Dataset, context: Context) -> Any:
    """Return the trained Keras model."""
    from compress import networks
    from compress.training.supervised import fit_to_labels, label_batches
    from compress.training.tensorflow import start_afresh

    start_afresh(context.seed)
    model = networks.build("teachers", config.name, config.options, data.image_shape, len(data.classes))
    fit_to_labels(model, label_batches(data, config, balance, context.seed), data, config, engine, context)
    return model
