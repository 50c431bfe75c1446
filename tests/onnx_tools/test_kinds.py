from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.small_models import write_model
from compress.bundle.contents import read_part
from compress.errors import BadInputError
from compress.latency.model_files import name_and_file
from compress.onnx_tools.check import parse

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4800000\n"


def zipped(*names: str) -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return packed.getvalue()


def tarred() -> bytes:
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    return packed.getvalue()


def image(kind: str) -> bytes:
    Image.new("L", (2, 2)).save(saved := io.BytesIO(), kind)
    return saved.getvalue()


def array() -> bytes:
    np.save(saved := io.BytesIO(), np.zeros(2))
    return saved.getvalue()


OTHERS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "Git LFS": (POINTER, "is a Git LFS pointer, not the file itself; `git lfs pull` fetches the file"),
    "zip": (zipped("model.onnx"), "is a zip archive"),
    "empty zip": (zipped(), "is a zip archive"),
    "TorchScript": (zipped("model/data.pkl", "model/code/x.py"), "is a PyTorch file"),
    "pickle": (pickle.dumps({"weights": [1.0]}), "is a pickle"),
    "older pickle": (pickle.dumps({"weights": [1.0]}, protocol=2), "is a pickle"),
    "TensorFlow Lite": (b"\x1c\x00\x00\x00TFL3\x14\x00", "is a TensorFlow Lite model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\x00\x00", "is an HDF5 file"),
    "PNG": (image("PNG"), "is a PNG image"),
    "JPEG": (image("JPEG"), "is a JPEG image"),
    "GIF": (image("GIF"), "is a GIF image"),
    "NumPy": (array(), "is a NumPy array"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "is a GGUF model"),
    "safetensors": (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"w":{"dtype":"F32"}}', "is a safetensors file"),
    "gzip": (gzip.compress(b"model"), "is compressed with gzip"),
    "tar": (tarred(), "is a tar archive"),
    "HTML": (b"\n<!DOCTYPE html><html>Sign in</html>", "is an HTML page"),
    "XML": (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "is XML"),
    "JSON": (json.dumps({"error": "not found"}, indent=1).encode(), "is JSON"),
    "JSON list": (b"[1, 2]", "is JSON"),
}
parametrized = pytest.mark.parametrize(("content", "expected"), OTHERS.values(), ids=OTHERS)


@parametrized
def test_another_kind_of_file_under_the_name_of_a_model_is_named_by_every_reader(
    content: bytes, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)

    for read in (
        lambda: name_and_file(file),
        lambda: name_and_file(tmp_path),
        lambda: read_part(tmp_path, "model.onnx"),
        lambda: parse(content, str(file)),
    ):
        with pytest.raises(BadInputError) as error:
            read()
        assert str(error.value).startswith(f"{file}: {expected}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["golden.npz", "labels.txt", "manifest.json"])
def test_a_pointer_of_git_lfs_is_named_in_place_of_any_file_of_a_bundle(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(POINTER)

    with pytest.raises(BadInputError, match=f"{name}: is a Git LFS pointer"):
        read_part(tmp_path, name)


def test_a_saved_model_of_tensorflow_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"graph")

    with pytest.raises(BadInputError, match="is a TensorFlow SavedModel"):
        name_and_file(tmp_path)


def test_a_folder_under_the_name_of_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()

    with pytest.raises(BadInputError, match=r"holds no model\.onnx"):
        name_and_file(tmp_path / "model.onnx")


def test_a_model_passes(tmp_path: Path) -> None:
    file = write_model(tmp_path / "model.onnx")

    assert name_and_file(file) == ("model", file)
