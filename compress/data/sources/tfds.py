"""A TensorFlow data set: tfds:NAME, where NAME is as in its catalogue, with configuration and version if needed."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import Split
from compress.data.array_samples import check_memory, checked_classes, refuse_groups
from compress.data.checks import checked_labels
from compress.data.samples import Encoded, Samples
from compress.data.splits import SPLITS
from compress.digests import file_digests
from compress.errors import BadInputError, MachineError, first_line
from compress.files import sha256_json

PREFIX = "tfds:"


def claims(spec: str) -> bool:
    """Tell whether `spec` begins with tfds:."""
    return spec.startswith(PREFIX)


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the names and bytes of the prepared data set's files, which are downloaded if missing."""
    folder = Path(_prepared(spec).data_path)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [file.relative_to(folder).as_posix() for file in files]
    return sha256_json(list(zip(names, file_digests(files, memo), strict=True)))


def load(spec: str, group: str) -> Samples:
    """Return the images, not decoded, with classes and splits; only train, validation and test are read."""
    refuse_groups(group)
    builder = _prepared(spec)
    if "train" not in builder.info.splits:
        raise BadInputError(f"{spec}: has no split train; holds {', '.join(builder.info.splits)}")
    check_memory(builder.info.dataset_size, spec)
    image, label = builder.info.supervised_keys
    data: list[bytes] = []
    labels: list[int] = []
    splits: list[Split] = []
    for split in [split for split in SPLITS if split in builder.info.splits]:
        for example in _examples(builder, split, image):
            data.append(example[image])
            labels.append(example[label])
            splits.append(split)
    classes = checked_classes(builder.info.features[label].names, f"{spec}: classes")
    indices = checked_labels(np.array(labels), len(data), f"{spec}: {label}", classes)
    return Samples(classes, indices, Encoded(data, spec), splits if len(set(splits)) > 1 else None)


def _examples(builder: Any, split: Split, image: str) -> Iterator[dict[str, Any]]:
    """Yield the examples of a split, their images as bytes of image files."""
    import tensorflow_datasets as tfds

    from compress.tensorflow import tf

    try:
        yield from tfds.as_numpy(builder.as_dataset(split=split, decoders={image: tfds.decode.SkipDecoding()}))
    except tf.errors.OpError as error:
        raise BadInputError(
            f"{builder.data_path}: cannot be read: {first_line(error)}; delete it to have it prepared again"
        ) from error


def _prepared(spec: str) -> Any:
    """Return the builder of a data set of images with a class each, its files on disk."""
    from compress import tensorflow  # noqa: F401 - sets TensorFlow up before tfds imports it

    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise BadInputError(f"{spec}: needs {error.name}: pip install 'compress[tfds]'") from error
    tfds.disable_progress_bar()
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a warning for each of its ten attempts
    try:
        builder = tfds.builder(spec.removeprefix(PREFIX))
    except (ValueError, AssertionError, ImportError) as error:
        raise BadInputError(f"{spec}: {first_line(error)}") from error
    _check_features(builder.info, spec)
    try:
        with redirect_stdout(io.StringIO()):  # it prints what it downloads, whatever the settings
            builder.download_and_prepare()
    except Exception as error:  # each data set raises its own kinds
        raise MachineError(f"{spec}: cannot be downloaded and prepared: {first_line(error)}") from error
    return builder


def _check_features(info: Any, spec: str) -> None:
    import tensorflow_datasets as tfds

    kinds = [type(info.features[key]) for key in info.supervised_keys or ()]
    if kinds != [tfds.features.Image, tfds.features.ClassLabel]:
        raise BadInputError(f"{spec}: holds {', '.join(info.features)}; should be images with one class each")
