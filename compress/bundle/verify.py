"""Verifying that a bundle is complete and consistent, and gives the same outputs here as where it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from compress import trained_weights
from compress.bundle.classifier import load
from compress.bundle.contents import GOLDEN, MANIFEST, MODEL, SUMS, TEACHER, read_part, sums
from compress.bundle.golden import golden_logits, read_golden
from compress.bundle.manifest import CLASS_NAMES, INPUT_SIZE, RESIZE, SEAL, manifest_text, read_manifest, seal
from compress.errors import BadInputError, CompressError, first_line
from compress.onnx_tools import providers
from compress.onnx_tools.check import check_deployable
from compress.onnx_tools.providers import CPU
from compress.plural import counted

MAX_NAMED = 10  # files in an error message
GONE = "is not here, and only training needs it"
CHANGED_LINES = "line endings were changed, as by git with core.autocrlf: clone it with -c core.autocrlf=false"


def verify(folder: Path) -> Iterator[str]:
    """Check a bundle from its bytes to its outputs; yield a line for each check that passed or was skipped.

    Raises `BadInputError`, which names the file, if the bundle is damaged, incomplete, inconsistent or unsafe, and
    `CompressError` if it is intact but gives other logits on this machine than it should.
    """
    manifest, contents = check_files(folder)
    yield f"{counted(len(contents), 'file')} with the sizes and sha256 that {MANIFEST} and {SUMS} state"
    models = {name: data for name, data in contents.items() if name.endswith(".onnx")}
    for name, data in models.items():
        _check_metadata(check_deployable(data, str(folder / name)), manifest, folder / name)
    if contents[MODEL] != contents.get(f"variants/{manifest['deployed']}.onnx"):
        raise BadInputError(f"{folder / MODEL}: is not variants/{manifest['deployed']}.onnx, which {MANIFEST} deploys")
    yield f"{counted(len(models), 'model')} of valid, standard ONNX, in one file each, sealed with this manifest"
    classifier = load(folder)
    _check_labels(classifier.labels, manifest, folder)
    yield f"{counted(len(classifier.labels), 'label')}, one for each output"
    if TEACHER in manifest["files"]:
        is_here = TEACHER in contents
        yield _check_teacher(folder / TEACHER, classifier.labels) if is_here else f"skipped {TEACHER}: {GONE}"
    if GOLDEN not in contents:
        yield f"skipped the outputs: the bundle has no {GOLDEN}"
        return
    images, expected, tolerance = read_golden(folder, classifier.input_shape, len(classifier.labels))
    for provider in providers.available():
        yield _check_golden(folder, contents[MODEL], images, expected, tolerance, provider)


def check_files(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and each file's bytes, by name; the teacher's weights may be missing.

    A file's digest stands in manifest.json and in SHA256SUMS. Raises `BadInputError`, which names whichever of the
    three disagrees with the other two.
    """
    manifest = read_manifest(folder)
    written = read_part(folder, MANIFEST)
    expected = manifest_text(manifest).encode(errors="replace")  # for lone surrogates, which UTF-8 cannot encode
    if written != expected:
        if _with_unix_lines(written) == expected:
            raise BadInputError(f"{folder / MANIFEST}: {CHANGED_LINES}")
        raise BadInputError(f"{folder / MANIFEST}: is not as it was written")
    listed = {name: file["sha256"] for name, file in manifest["files"].items()}
    claimed = _claims(read_part(folder, SUMS))
    contents: dict[str, bytes] = {}
    wrong: list[str] = []
    for name, file in manifest["files"].items():
        if name == TEACHER and not (folder / name).exists():
            continue
        if name not in claimed and not (folder / name).exists():
            raise BadInputError(f"{folder / MANIFEST}: files: {name}: No such file, and {SUMS} does not list it")
        contents[name] = read_part(folder, name)
        found = hashlib.sha256(contents[name]).hexdigest()
        if found == listed[name] == claimed.get(name) and len(contents[name]) == file["size"]:
            continue
        if found != listed[name] == hashlib.sha256(_with_unix_lines(contents[name])).hexdigest():
            raise BadInputError(f"{folder / name}: {CHANGED_LINES}")
        wrong.append(MANIFEST if found == claimed.get(name) else SUMS if found == listed[name] else name)
    if not wrong and MODEL in contents and _seal_of(contents[MODEL]) not in (None, seal(manifest)):
        wrong.append(MANIFEST)
    stated = sums(listed | {MANIFEST: hashlib.sha256(written).hexdigest()}).encode()
    found_sums = read_part(folder, SUMS)
    if not wrong and found_sums != stated:
        if _with_unix_lines(found_sums) == stated:
            raise BadInputError(f"{folder / SUMS}: {CHANGED_LINES}")
        wrong.append(SUMS)
    if wrong:
        named = ", ".join(str(folder / name) for name in dict.fromkeys(wrong[:MAX_NAMED]))
        raise BadInputError(f"{named}: not as written: its sha256 or size is another")
    if MODEL not in contents:
        raise BadInputError(f"{folder / MANIFEST}: files: has no {MODEL}")
    return manifest, contents


def _with_unix_lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _claims(text: bytes) -> dict[str, str]:
    lines = (line.split("  ", 1) for line in text.decode("utf-8", "replace").splitlines() if "  " in line)
    return {name: digest for digest, name in lines}


def _seal_of(model: bytes) -> str | None:
    try:
        properties = onnx.load_model_from_string(model).metadata_props
    except Exception:  # the check of the model itself reports it
        return None
    return next((entry.value for entry in properties if entry.key == SEAL), None)


def _check_metadata(model: onnx.ModelProto, manifest: Mapping[str, Any], path: Path) -> None:
    found = {entry.key: entry.value for entry in model.metadata_props}
    expected = {SEAL: seal(dict(manifest)), RESIZE: json.dumps(manifest["image"])}
    expected[INPUT_SIZE] = json.dumps(manifest["input"]["shape"][1:])
    for key, value in expected.items():
        if found.get(key) != value:
            raise BadInputError(f"{path}: its metadata says {key} = {found.get(key)!r:.200}; {MANIFEST} says {value}")


def _check_labels(labels: tuple[str, ...], manifest: Mapping[str, Any], folder: Path) -> None:
    model = onnx.load_model_from_string(read_part(folder, MODEL))
    named = next((entry.value for entry in model.metadata_props if entry.key == CLASS_NAMES), "")
    if json.dumps(labels, ensure_ascii=False) != named:
        raise BadInputError(f"{folder / 'labels.txt'}: has other labels than the model's metadata, {named:.200}")
    classes = counted(len(labels), "class", "classes")
    for output in manifest["outputs"]:
        if output["shape"][1:] != [len(labels)]:
            where = f"{folder / MANIFEST}: outputs: {output['name']}"
            raise BadInputError(f"{where} should have {classes}, as in labels.txt")


def _check_teacher(path: Path, labels: tuple[str, ...]) -> str:
    told, arrays = trained_weights.described(path), trained_weights.read(path)
    if told is None or told.classes != labels:
        raise BadInputError(f"{path}: its {trained_weights.DESCRIPTION} should name the classes in labels.txt")
    return f"{counted(len(arrays), 'array')} of the teacher, {told.architecture}, for these labels"


def _check_golden(
    folder: Path, model: bytes, images: np.ndarray, expected: np.ndarray, tolerance: float, provider: str
) -> str:
    try:
        logits = golden_logits(model, images, provider)
    except Exception as error:  # onnxruntime also lists providers whose libraries or device are missing here
        if provider == CPU:
            raise BadInputError(f"{folder / MODEL}: fails to run: {first_line(error)}") from error
        return f"skipped {provider}: {first_line(error)}"
    difference = float(np.abs(logits - expected).max())
    tolerance = max(tolerance, providers.find(provider).tolerance * float(np.abs(expected).max()))
    if not difference <= tolerance:
        raise CompressError(
            f"{folder}: {provider} gives logits that differ by {difference:.3g} from those of golden.npz; "
            f"should be {tolerance:.3g} at most"
        )
    equal = "bit-equal" if np.array_equal(logits, expected) else f"off by {difference:.2g} of {tolerance:.2g} allowed"
    return f"{counted(len(images), 'golden image')} on {provider}: logits {equal}"
