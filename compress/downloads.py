"""Published data sets, read from Keras's folder and, if missing, downloaded into it the way Keras does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, TimeoutError
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

from compress.errors import MachineError, first_line

KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # as in tf_keras.datasets


def keras_folder() -> Path:
    """Return the folder in which Keras keeps data sets: KERAS_HOME/datasets, or ~/.keras/datasets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser().absolute() / "datasets"


def fetched(files: Mapping[str, str], url: str, folder: Path) -> list[Path]:
    """Download the files that are missing from `folder`; return the paths of all.

    `files` maps each name to its published sha256 or md5 in hexadecimal, or to an empty text if nothing is published;
    `url` is the prefix that all names share. Raises `MachineError` if a download fails.
    """
    missing = [name for name in files if not (folder / name).is_file()]
    try:
        for name in missing:
            _download(url + name, folder / name, files[name])
    except Exception as error:  # Keras raises `Exception` itself
        reason = first_line(error)
        raise MachineError(
            f"{', '.join(missing)}: cannot be downloaded: {reason}; download from {url} by hand and put into {folder}"
        ) from error
    return [folder / name for name in files]


def out_of_reach(url: str, seconds: float) -> str:
    """Return in a few words why a file cannot be downloaded, empty if its server answers within some seconds."""
    asked: Future[str] = Future()
    # Not a pool, which would wait for its thread: looking up a name has no limit of time
    Thread(target=lambda: asked.set_result(_asked(url, seconds)), daemon=True).start()
    try:
        return asked.result(seconds)
    except TimeoutError:
        return f"no answer within {seconds:g} s"


def _asked(url: str, seconds: float) -> str:
    try:
        with urlopen(Request(url, method="HEAD"), timeout=seconds):
            return ""
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))


def _download(url: str, file: Path, digest: str) -> None:
    from compress.tensorflow import keras

    keras.utils.disable_interactive_logging()  # its progress bar would garble ours
    file.parent.mkdir(parents=True, exist_ok=True)
    # Keras takes a partial file of that name for the whole one, and another process may be downloading the same file
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".part-") as folder:
        keras.utils.get_file(file.name, origin=url, file_hash=digest or None, cache_subdir=folder)
        (Path(folder) / file.name).replace(file)
