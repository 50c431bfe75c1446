"""Read labelled images, bring them to one size, split them into train, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compress import plugins
from compress.artifacts import Dataset
from compress.context import Context

SOURCES = "compress.data.sources"


class Config(BaseModel):
    """Which images, at which size, split how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field("digits", description="Name of a data source.")
    size: int = Field(32, ge=8, le=1024, description="Height and width in pixels that the networks see.")
    validation: float = Field(0.2, gt=0, lt=1, description="Fraction held out to stop and to choose by.")
    test: float = Field(0.2, gt=0, lt=1, description="Fraction held out for the report's figures alone.")

    @field_validator("source")
    @classmethod
    def _source_exists(cls, name: str) -> str:
        plugins.find(SOURCES, name)
        return name

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Config:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test should be less than 1")
        return self

    def plugin_modules(self) -> list[str]:
        """Return the modules that this configuration names."""
        return [f"{SOURCES}.{self.source}"]


def fingerprint(config: Config) -> str:
    """Return the sha256 of the bytes of the images and labels."""
    return plugins.find(SOURCES, config.source).fingerprint()


def run(config: Config, out: Path, context: Context) -> Dataset:
    """Write `SPLIT_images.npy` and `SPLIT_labels.npy` for each split."""
    from compress.arrays import save_array
    from compress.data.resize import resize
    from compress.data.splits import stratified

    images, labels, classes = plugins.find(SOURCES, config.source).load()
    splits = stratified(labels, config.validation, config.test, context.seed)
    sizes: dict[Any, int] = {}
    for split, indices in splits.items():
        resized = resize(images[indices], config.size)
        save_array(out / f"{split}_images.npy", resized)
        save_array(out / f"{split}_labels.npy", labels[indices])
        sizes[split] = len(indices)
    shape = (config.size, config.size, images.shape[3])
    return Dataset(name=config.source, classes=classes, image_shape=shape, sizes=sizes, folder=out)
