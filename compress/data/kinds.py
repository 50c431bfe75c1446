"""What a file is that is given as data, but is none of the kinds that are read as such."""

from __future__ import annotations

import re
from pathlib import Path

RIGHT = "should be a folder, or a .npz, .csv, .tsv or .parquet file"
# The endings of names, how such files begin, and what they are. The first match counts.
KINDS = (
    (r"(xlsx?|xlsm|ods|numbers)", rb"\xd0\xcf\x11\xe0", "is a spreadsheet; save it as .csv"),
    (r"npy", rb"\x93NUMPY", "is one array; images and labels should be in one .npz or in one folder"),
    (r"(h5|hdf5?|keras)", rb"\x89HDF\r\n", "is an HDF5 file; save its images and labels as .npz"),
    (r"mat", rb"MATLAB 5\.0", "is a MATLAB file; save its images and labels as .npz"),
    (
        r"(jpe?g|png|bmp|webp|gif|tiff?)",
        rb"\x89PNG\r\n|\xff\xd8\xff|GIF8|BM.{4}\0{4}|II\*\0|MM\0\*|RIFF....WEBP",
        "is one image",
    ),
    (r"((idx)?\d?-?ubyte(\.gz)?|idx\d?(\.gz)?)", rb"\0\0\x08[\x01-\x04]", "is one IDX file; give its folder"),
    (r"(arrow|feather)", rb"ARROW1", "is an Arrow file; save it as .parquet"),
    (r"(parq|pq)", rb"PAR1", "is a Parquet file; should be named .parquet"),
    (
        r"(zip|tar|tgz|7z|rar|gz|bz2|xz|zst)",
        rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!",
        "is packed; unpack it",
    ),
    (r"(pkl|pickle|pth?|ckpt|joblib)", rb"\x80[\x02-\x05][\]}(cX\x8a\x8c\x95]", "is a pickle, which is never loaded"),
    (r"tfrecords?(-.*)?", rb"(?!)", "is a file of TFRecords; give the data set as tfds:NAME"),
    (r"(jsonl?|ndjson)", rb"\s*[\[{]\s*[\"\[{\]}]", "is JSON; save its paths and labels as .csv"),
    (r"(onnx|tflite|pb|safetensors)", rb"(?!)", "is a model"),
    (r"toml", rb"(?!)", "is TOML; settings are given as --config"),
    (r"(xml|html?|ya?ml|txt|lst|md)", rb"\s*<[?!a-zA-Z]", "is text; save its paths and labels as .csv"),
)
BEGIN = 64  # bytes of a file that tell its kind


def kind_of(path: Path) -> str:
    """Return what a file is, from its name or else from its first bytes, and what it should be; raises `OSError`."""
    if not path.is_file():  # opening a pipe would wait for a writer
        return f"is not a regular file; {RIGHT}"
    with path.open("rb") as stream:
        begin = stream.read(BEGIN)
    if not begin:
        return f"is empty; {RIGHT}"
    name = path.name.lower()
    by_name = next((kind for ending, _, kind in KINDS if re.search(rf"[.-]{ending}\Z", name)), None)
    return f"{by_name or kind_by_bytes(begin) or 'is of another kind'}; {RIGHT}"


def kind_by_bytes(begin: bytes) -> str | None:
    """Return what a file is that begins with these bytes, None if they do not tell."""
    return next((kind for _, magic, kind in KINDS if re.match(magic, begin, re.DOTALL)), None)
