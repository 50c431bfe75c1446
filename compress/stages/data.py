"""Read labelled images, check every one, and split them into train, validation and test."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.image_settings import Image
from compress.data.names import canonical
from compress.data.spec import Source
from compress.files import home_expanded
from compress.plural import counted

if TYPE_CHECKING:
    from compress.data.samples import RawImages, Samples
    from compress.data.survey import Look, Unreadable


MAX_LEFT_OUT = 0.01  # of the images
NAMED = 10  # unreadable files in the error


class Config(BaseModel):
    """The images to use, and how to split them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source = Field(Source(), description="A folder, .npz, .csv, .tsv or .parquet file, or a data set's name.")
    validation: float = Field(0.2, gt=0, lt=1, description="Fraction held out for early stopping and choosing a model.")
    test: float = Field(0.2, gt=0, lt=1, description="Fraction held out only for the report's figures.")
    group: str = Field(
        "",
        description="Keeps images of the same person or scene in one split: a regular expression on file names, or a "
        "column of the table.",
    )
    root: str = Field("", description="Folder that the paths in a table are relative to; empty: the table's folder.")
    skip_bad: bool = Field(False, description="Leave out unreadable files, up to 1 %, instead of stopping.")
    cache: bool = Field(True, description="Keep prepared images on disk; if false, each pass decodes the files again.")

    @field_validator("root")
    @classmethod
    def _is_a_folder(cls, root: str) -> str:
        if root and not Path(home_expanded(root)).is_dir():
            raise ValueError("there is no such folder; should be the one that the paths in a table begin in")
        return home_expanded(root)

    @model_validator(mode="after")
    def _only_tables_have_a_root(self) -> Config:
        if self.root and "root" not in inspect.signature(self.source.module.load).parameters:
            raise ValueError(f"root = {self.root!r}: {self.source.name} is no table with paths in it; should be empty")
        return self

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Config:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test should be less than 1")
        return self

    @property
    def name(self) -> str:
        """The name of the data: that of its data set, file or folder."""
        path = Path(self.source.name)
        name = path.resolve().name if path.is_dir() else path.stem if path.is_file() else self.source.name
        return re.sub(r"[^\w.-]+", "-", canonical(name)).strip("-._")[:100] or "images"

    @property
    def rooted(self) -> dict[str, str]:
        """What a source of files is called with besides, if data.root is set."""
        return {"root": self.root} if self.root else {}

    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the result depends on, without the spelling of paths (`x`, `x/` or `./x`)."""
        source = self.source.module.__name__.rpartition(".")[2]
        settings = self.model_dump(mode="json", exclude={"root"})
        return {**settings, "source": source, "options": self.source.options, "name": self.name}


def fingerprint(config: Config, memo: Path) -> str:
    """Return the sha256 over the bytes of images and labels, with their location if each epoch reads them again."""
    content = config.source.module.fingerprint(config.source.name, memo, **config.rooted)
    place = Path(config.root or config.source.name)
    return content if config.cache or not place.exists() else f"{content} at {place.resolve()}"


def run(config: Config, image: Image, out: Path, context: Context) -> Dataset:
    """Write the prepared images or a list of their files, each split's indices and labels, and data.json."""
    import numpy as np

    from compress.arrays import save_array
    from compress.data.describe import DESCRIPTION, describe, description_text, warnings
    from compress.data.preparation import prepared_shape
    from compress.data.samples import printable
    from compress.data.splits import divide
    from compress.data.survey import Look, Unreadable, channels_of
    from compress.errors import BadInputError
    from compress.files import write_file

    samples = config.source.function(config.source.name, config.group, **config.rooted)
    images, classes = samples.images, samples.classes
    _check_trainable(samples, config.source.name)
    preparation = image.preparation(channels_of(images, image.color))
    looks = _survey(images, preparation, config.cache, out, context)
    bad = [look for look in looks if isinstance(look, Unreadable)]
    allowed = MAX_LEFT_OUT * len(looks) if config.skip_bad else 0
    if len(bad) > allowed:
        raise BadInputError(_too_many(bad, images, config))

    good = [look for look in looks if isinstance(look, Look)]
    positions = np.array([i for i, look in enumerate(looks) if isinstance(look, Look)])

    def of_good(values: Sequence[Any] | None) -> list[Any] | None:
        return None if values is None else [values[i] for i in positions]

    labels = samples.labels[positions]
    division = divide(
        [look.source for look in good],
        [look.content for look in good],
        labels,
        classes,
        validation=config.validation,
        test=config.test,
        seed=context.seed,
        given=of_good(samples.splits),
        groups=of_good(samples.groups),
    )
    for split, indices in division.indices.items():
        save_array(out / f"{split}.npy", positions[indices])
        save_array(out / f"{split}_labels.npy", labels[indices])
    names = [images.name(i) for i in positions]
    groups = of_good(samples.groups)
    shown = groups and [printable(name) for name in groups]
    description = describe(names, labels, classes, good, division, bad, preparation, shown, samples.notes)
    write_file(out / DESCRIPTION, description_text(description).encode())
    for line in warnings(description):
        context.note(f"{context.stage}: {line}")
    return Dataset(
        name=config.name,
        classes=classes,
        image_shape=prepared_shape(preparation),
        sizes={split: len(indices) for split, indices in division.indices.items()},
        preparation=preparation,
        folder=out,
    )


def _check_trainable(samples: Samples, what: str) -> None:
    """Raise `BadInputError` for images that nothing can be learnt from, though a network may be tested on them."""
    from compress.errors import BadInputError

    if len(samples.classes) < 2:
        raise BadInputError(f"{what}: has one class, {samples.classes[0]!r}; should have two or more")
    with_images = set(samples.labels.tolist())
    empty = [name for label, name in enumerate(samples.classes) if label not in with_images]
    if empty:
        raise BadInputError(f"{what}: no image has label {empty[0]}; labels should have no gaps")
    if samples.splits is not None and "train" not in samples.splits:
        held = " and ".join(sorted(set(samples.splits)))
        raise BadInputError(f"{what}: has {held}, but no train; should have images to train on")


def _survey(
    images: RawImages, preparation: dict[str, Any], cache: bool, out: Path, context: Context
) -> list[Look | Unreadable]:
    """Write the prepared images or, without `cache`, where their files are; return what was seen of each image."""
    import json
    from contextlib import ExitStack

    from compress.arrays import array_writer
    from compress.data.images import LISTED, STORED
    from compress.data.preparation import prepared_shape
    from compress.data.samples import Files
    from compress.data.survey import Look, survey
    from compress.files import write_file

    shape = prepared_shape(preparation)
    files = images if isinstance(images, Files) and not cache else None
    with ExitStack() as stack:
        keep = stack.enter_context(array_writer(out / STORED, (len(images), *shape))) if files is None else None
        looks = survey(images, preparation, keep, context.progress)
    if files is not None:
        digests = [look.source.hex() if isinstance(look, Look) else "" for look in looks]
        listing = {"root": str(files.root.resolve()), "paths": files.paths, "sha256": digests}
        write_file(out / LISTED, json.dumps(listing).encode())
    return looks


def _too_many(bad: Sequence[Any], images: RawImages, config: Config) -> str:
    from compress.data.samples import Files, printable

    named = "; ".join(f"{image.name} {image.why}" for image in bad[:NAMED]) + ("; ..." if len(bad) > NAMED else "")
    remedy = "mend or remove them"
    if config.skip_bad:
        remedy = f"--skip-bad leaves out {MAX_LEFT_OUT:.0%} at most"
    elif len(bad) <= MAX_LEFT_OUT * len(images):
        remedy += ", or leave them out with --skip-bad"
    where = ""
    if isinstance(images, Files) and Path(config.source.name).is_file():
        where = f" in {printable(str(images.root.resolve()))}"  # where a table's paths begin
    shown = f"{config.source.name}: {len(bad)} of {counted(len(images), 'image')}{where}"
    return f"{shown} cannot be read: {named}: {remedy}"
