"""A file that is given as data but is none of its kinds is named as what it is, by its name or by its first bytes."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from compress.config import load
from compress.data.kinds import kind_by_bytes, kind_of
from compress.errors import BadInputError
from tests.conftest import run_main


def write(file: Path) -> None:
    """Write a file of the kind that its name's ending says."""
    if file.suffix == ".npy":
        np.save(file, np.zeros((4, 2, 3), np.uint8))
    elif file.suffix == ".h5":
        with h5py.File(file, "w") as opened:
            opened["images"] = np.zeros((4, 2, 3), np.uint8)
    elif file.suffix == ".png":
        Image.new("RGB", (4, 4)).save(file)
    elif file.suffix == ".pkl":
        file.write_bytes(pickle.dumps({"images": [], "labels": []}))
    elif file.suffix == ".empty":
        file.touch()
    else:
        file.write_bytes(
            {".json": b'[{"path": "a.png", "label": "a"}]', ".gz": b"\x1f\x8b\x08\0"}.get(file.suffix, b"x")
        )


NAMED = {
    "x.npy": "is one array; images and labels should be in one .npz",
    "x.H5": "is an HDF5 file",
    "x.json": "is JSON; save its paths and labels as .csv",
    "x.xlsx": "is a spreadsheet; save it as .csv",
    "x.ods": "is a spreadsheet; save it as .csv",
    "x.mat": "is a MATLAB file",
    "photo.jpeg": "is one image",
    "photos.tar.gz": "is packed; unpack it",
    "x.zip": "is packed; unpack it",
    "data.pickle": "is a pickle, which is never loaded",
    "x-train.tfrecord-00000-of-00001": "is a file of TFRecords; give the data set as tfds:NAME",
    "train-images-idx3-ubyte.gz": "is one IDX file; give its folder",
    "train-images.idx3-ubyte": "is one IDX file; give its folder",
    "list.txt": "is text; save its paths and labels as .csv",
    "run.toml": "is TOML; settings are given as --config",
    "x.onnx": "is a model",
    "x.foo": "is of another kind",
}


@pytest.mark.parametrize(("name", "said"), NAMED.items(), ids=NAMED)
def test_a_file_of_another_kind_is_named_by_its_ending(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(BadInputError) as caught:
        load(assignments=[f"data.source={tmp_path / name}"])

    assert f"{name}': {said}" in str(caught.value)
    assert str(caught.value).endswith("should be a folder, or a .npz, .csv, .tsv or .parquet file")


@pytest.mark.parametrize("ending", ["npy", "h5", "png", "pkl", "json", "gz"])
def test_without_an_ending_the_first_bytes_tell_the_kind(ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"x.{ending}")
    (tmp_path / f"x.{ending}").rename(tmp_path / "data")
    said = (
        NAMED.get(f"x.{ending}") or {"h5": "is an HDF5", "png": "is one", "pkl": "is a pickle", "gz": "packed"}[ending]
    )

    with pytest.raises(BadInputError, match=said):
        load(assignments=[f"data.source={tmp_path / 'data'}"])


@pytest.mark.parametrize("command", [("data", "x.npy"), ("plan", "--data=x.npy"), ("all", "--data", "x.npy")])
def test_commands_say_so_in_one_line(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "x.npy")

    assert run_main(monkeypatch, tmp_path, *command) == 2

    said = capsys.readouterr().err
    assert said.startswith("error: --data x.npy: data.source = 'x.npy': is one array;")
    assert said.count("\n") == 1


def test_what_is_empty_or_no_file_is_named_so(tmp_path: Path) -> None:
    write(tmp_path / "x.empty")
    with pytest.raises(BadInputError, match=r"x\.empty': is empty; should be a folder"):
        load(assignments=[f"data.source={tmp_path / 'x.empty'}"])
    if sys.platform == "win32":
        return
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match="pipe': is not a regular file; should be a folder"):
        load(assignments=[f"data.source={tmp_path / 'pipe'}"])


@pytest.mark.parametrize("column", ["bmi", "BM", "par1", "II*"])
def test_a_table_may_begin_with_letters_that_files_of_other_kinds_begin_with(column: str) -> None:
    assert kind_by_bytes(f"{column},path,label\n1,a/1.png,a\n".encode()) is None


@pytest.mark.parametrize("name", ["faqpq", "images.parquet.gz"])
def test_a_name_that_only_holds_an_ending_is_not_of_its_kind(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert "Parquet" not in kind_of(tmp_path / name).partition(";")[0]
