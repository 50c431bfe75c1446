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
from compress.data.names import split_of
from compress.data.samples import Encoded, Samples
from compress.data.splits import SPLITS
from compress.digests import file_digests
from compress.errors import BadInputError, MachineError, first_line
from compress.files import sha256_json

PREFIX = "tfds:"
UNKNOWN = -1  # the label of images that have none
MAX_NAMED = 10  # classes in a message


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
    """Return the images, not decoded, with classes and splits; only train, validation and test are read.

    A split whose images have no labels is left out, as are classes without images.
    """
    refuse_groups(group)
    builder = _prepared(spec)
    info = builder.info
    chosen, notes = _splits(info, spec)
    sizes = [info.splits[name].num_bytes for name in chosen.values()]
    check_memory(sum(sizes) if all(sizes) else info.dataset_size, spec)
    image, label = _keys(info, spec)
    data: list[bytes] = []
    labels: list[int] = []
    splits: list[Split] = []
    for split, name in chosen.items():
        examples = [(example[image], int(example[label])) for example in _examples(builder, name, image, label)]
        if all(number == UNKNOWN for _, number in examples):
            notes.append(f"split {name} has no labels and is left out")
            continue
        data += [encoded for encoded, _ in examples]
        labels += [number for _, number in examples]
        splits += [split] * len(examples)
    if not data:
        raise BadInputError(f"{spec}: has no labelled image in {', '.join(chosen.values())}")
    classes, indices, unused = _classes(info.features[label], np.array(labels), f"{spec}: {label}")
    return Samples(
        classes,
        indices,
        Encoded(data, spec),
        None if set(splits) == {"train"} else splits,
        notes=[*notes, *unused],
    )


def _splits(info: Any, spec: str) -> tuple[dict[Split, str], list[str]]:
    """Return what the data set calls each split, and a line if it has others; raises `BadInputError` for none."""
    meant = {name: name if name in SPLITS else split_of(name) for name in info.splits}
    found: dict[Split, str] = {}
    for split in SPLITS:
        names = [name for name in sorted(meant, key=lambda name: name != split) if meant[name] == split]
        if names:
            found[split] = names[0]
    unused = [name for name in info.splits if name not in found.values()]
    if not found:
        raise BadInputError(f"{spec}: has no split train, validation or test; holds {', '.join(unused)}")
    return found, [f"splits that are not read: {', '.join(unused)}"] if unused else []


def _classes(feature: Any, labels: np.ndarray, what: str) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Return the classes that have images, each image's index into them, and a line if others were left out."""
    names = checked_classes(feature.names, f"{what}: classes") if feature.num_classes else ()
    if not names:
        indices = checked_labels(labels, len(labels), what)
        return tuple(map(str, range(int(indices.max()) + 1))), indices, []
    in_range = (labels >= 0) & (labels < len(names))
    if not in_range.all():
        return names, checked_labels(labels, len(labels), what, names), []  # raises: names the label
    used, indices = np.unique(labels, return_inverse=True)
    empty = [name for i, name in enumerate(names) if i not in used]
    listed = ", ".join(empty[:MAX_NAMED]) + (", ..." if len(empty) > MAX_NAMED else "")
    notes = [f"{len(empty)} of {len(names)} classes have no image and are left out: {listed}"] if empty else []
    return tuple(names[i] for i in used), indices.astype(np.int64), notes


def _examples(builder: Any, split: str, image: str, label: str) -> Iterator[dict[str, Any]]:
    """Yield the images of a split, as bytes of image files, and their labels; nothing else is decoded."""
    import tensorflow_datasets as tfds

    from compress.tensorflow import tf

    try:
        wanted = tfds.decode.PartialDecoding({image: True, label: True}, {image: tfds.decode.SkipDecoding()})
        yield from tfds.as_numpy(builder.as_dataset(split=split, decoders=wanted))
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
    _keys(builder.info, spec)  # before anything is downloaded
    try:
        with redirect_stdout(io.StringIO()):  # it prints what it downloads, whatever the settings
            builder.download_and_prepare()
    except Exception as error:  # each data set raises its own kinds
        raise MachineError(f"{spec}: cannot be downloaded and prepared: {first_line(error)}") from error
    return builder


def _keys(info: Any, spec: str) -> tuple[str, str]:
    """Return the keys of the image and of its class: those of supervised learning, or the only ones of their kind.

    Raises `BadInputError` if there is none or more than one, and for images of floats.
    """
    import tensorflow_datasets as tfds

    kinds = {key: type(feature) for key, feature in info.features.items()}
    supervised = info.supervised_keys or (list(kinds), list(kinds))
    images = [key for key in _leaves(supervised[0]) if kinds.get(key) is tfds.features.Image]
    labels = [key for key in _leaves(supervised[1]) if kinds.get(key) is tfds.features.ClassLabel]
    if len(images) != 1 or len(labels) != 1:
        held = ", ".join(f"{key} ({kind.__name__})" for key, kind in kinds.items())
        raise BadInputError(f"{spec}: holds {held}; should be images with one class each")
    if np.issubdtype(info.features[images[0]].np_dtype, np.floating):
        raise BadInputError(
            f"{spec}: {images[0]} holds floats, kept as bit patterns; should be images of uint8 or uint16"
        )
    return images[0], labels[0]


def _leaves(keys: Any) -> list[str]:
    """Return the keys in a structure of tuples and dictionaries, as tfds nests them."""
    if isinstance(keys, str):
        return [keys]
    inner = keys.values() if isinstance(keys, dict) else keys
    return [leaf for each in inner for leaf in _leaves(each)]
