"""Published data sets: found in Keras's folder, else downloaded into it as Keras does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from compress.errors import MachineError, first_line

KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # as tf_keras.datasets has it


def keras_folder() -> Path:
    """Return where Keras keeps data sets: KERAS_HOME/datasets, or ~/.keras/datasets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser().absolute() / "datasets"


def fetched(files: Mapping[str, str], url: str, folder: Path) -> list[Path]:
    """Return the files in the folder, once those that were missing are downloaded.

    `files` holds for each name its sha256 or md5, in hexadecimal, or an empty text where none is published; `url` is
    what comes before the name. Raises `MachineError` where that fails.
    """
    missing = [name for name in files if not (folder / name).is_file()]
    try:
        for name in missing:
            _download(url + name, folder / name, files[name])
    except Exception as error:  # Keras raises plain ones
        reason = first_line(error)
        raise MachineError(
            f"{', '.join(missing)}: cannot be downloaded: {reason}: get from {url} and put into {folder}"
        ) from error
    return [folder / name for name in files]


def _download(url: str, file: Path, digest: str) -> None:
    from compress.tensorflow import keras

    keras.utils.disable_interactive_logging()  # its own bar would run through ours
    file.parent.mkdir(parents=True, exist_ok=True)
    # Keras takes what has the name for the whole file, and another process may be after the same one
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".part-") as own:
        keras.utils.get_file(file.name, origin=url, file_hash=digest or None, cache_subdir=own)
        (Path(own) / file.name).replace(file)
