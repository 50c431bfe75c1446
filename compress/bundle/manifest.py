"""manifest.json, schema 2: the description of a bundle, checked whenever the bundle is verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from compress.bundle.contents import MANIFEST, NAME, read_json
from compress.errors import BadInputError
from compress.files import sha256_json
from compress.onnx_tools.signature import TensorName, TensorType
from compress.quantization.targets import TargetName

SCHEMA = 2
CLASS_NAMES, INPUT_SIZE, RESIZE, SEAL = (
    "class_names",
    "input_size",
    "resize",
    "manifest_sha256",
)  # in metadata_props
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]{0,99}$")]  # safe in the folders and URLs of servers
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+!_-]{1,64}$")]
Side = Annotated[int, Field(ge=1, le=1024)]  # pixels
FileName = Annotated[str, StringConstraints(pattern=f"^({NAME.pattern})$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Part):
    """The size of a file in bytes, and its sha256."""

    size: int = Field(ge=0)
    sha256: Sha256


class Tensor(_Part):
    """An input or output; its first dimension is `batch`, the number of images, which is free."""

    name: TensorName
    type: TensorType
    shape: list[Literal["batch"] | int]


class Input(Tensor):
    """The input, and the order of its dimensions."""

    layout: Literal["NHWC"]


class Preparation(_Part):
    """The settings of `prepare` in preparation.py, which turns an image into the model's input.

    `size` is the side of a square, or height and width.
    """

    size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)]
    fit: Literal["crop", "pad", "stretch"]
    channels: Literal[1, 3]
    background: list[int] = Field(min_length=3, max_length=3)


class Data(_Part):
    """The training data: its name, and a digest of all images, labels and splits (see data.json)."""

    name: str
    sha256: Sha256


class Manifest(_Part):
    """A bundle's manifest.

    `onnxruntime` is the lowest release that can run the model, `pillow` the lowest that preparation.py works with,
    `quantized_for` is the `quantize.target` of the int8 models, `parents` maps each stage of the run to the key of its
    result, `machine` describes where latencies were measured, `files` lists every file except manifest.json and
    SHA256SUMS.
    """

    schema_: Literal[2] = Field(alias="schema")
    name: Name
    deployed: FileName
    license: str
    input: Input
    outputs: list[Tensor] = Field(min_length=2, max_length=2)
    image: Preparation
    opset: int
    ir_version: int
    onnxruntime: Version
    pillow: Version | None = None
    versions: dict[str, Version]
    seed: int
    quantized_for: TargetName | None = None
    data: Data
    parents: dict[str, Sha256]
    machine: dict[str, Any]
    files: dict[FileName, File]


def manifest_text(manifest: dict[str, Any]) -> str:
    """Return the text of manifest.json."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def seal(manifest: dict[str, Any]) -> str:
    """Return the digest of all of a manifest except `deployed` and `files`; each model in the bundle carries it."""
    return sha256_json({key: value for key, value in manifest.items() if key not in ("deployed", "files")})


def distribution_of(library: str, versions: Mapping[str, str]) -> str:
    """Return the name of a library in `versions`; ONNX Runtime's builds, such as onnxruntime-gpu, have their own."""
    builds = (name for name in versions if name.startswith("onnxruntime-"))
    return next(builds, library) if library == "onnxruntime" and library not in versions else library


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a bundle's manifest; raises `BadInputError`, which names the first key that is wrong."""
    manifest = read_json(folder, MANIFEST)
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise BadInputError(f"{folder / MANIFEST}: {where}: {first['msg']}") from error
    return manifest
