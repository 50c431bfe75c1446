"""What a file is that bears the name of an ONNX model but is something else, told from its first bytes."""

from __future__ import annotations

import re

from compress.errors import BadInputError
from compress.untrusted import GIT_LFS, POINTER

# Text would be no valid protobuf message either, but its parser does not say so. The first match counts.
KINDS = (
    (re.compile(rb"\Z"), "is empty"),
    (re.compile(GIT_LFS), POINTER),
    (re.compile(rb"PK\x03\x04.{0,200}?(data\.pkl|\.format_version|constants\.pkl)", re.DOTALL), "is a PyTorch file"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "is a zip archive"),
    (re.compile(rb"\x80[\x02-\x05][\]}(cX\x8a\x8c\x95]"), "is a pickle, which is never loaded"),
    (re.compile(rb"....TFL3", re.DOTALL), "is a TensorFlow Lite model"),
    (re.compile(rb"\x89HDF\r\n"), "is an HDF5 file, such as Keras writes"),
    (re.compile(rb"\x89PNG\r\n"), "is a PNG image"),
    (re.compile(rb"\xff\xd8\xff"), "is a JPEG image"),
    (re.compile(rb"GIF8"), "is a GIF image"),
    (re.compile(rb"\x93NUMPY"), "is a NumPy array"),
    (re.compile(rb"GGUF"), "is a GGUF model"),
    (re.compile(rb".{8}\{\"", re.DOTALL), "is a safetensors file"),
    (re.compile(rb"\x1f\x8b"), "is compressed with gzip; unpack it first"),
    (re.compile(rb".{257}ustar", re.DOTALL), "is a tar archive"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head)", re.IGNORECASE), "is an HTML page"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<[?!a-z]", re.IGNORECASE), "is XML"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]\s*[\"\[{\]}0-9]"), "is JSON"),
)


def check_kind(data: bytes, what: str) -> None:
    """Raise `BadInputError`, which says what the bytes are, if they are clearly no ONNX model; names them `what`."""
    for pattern, kind in KINDS:
        if pattern.match(data):
            raise BadInputError(f"{what}: {kind}; it should be an ONNX model")
