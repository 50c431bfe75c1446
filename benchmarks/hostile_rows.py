"""Hostile and odd inputs, one per row: accepted with the pixels that the row states, or refused in one line.

tests/data/test_hostile_inputs.py runs them in its own process, `benchmarks/hostile_inputs.py` as a user would.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 8
RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
ODD = "0-odd"  # sorts before the others: its pixels are the first


@dataclass(frozen=True)
class Row:
    """A folder of two classes of ten good images each, changed by `build`, which may return another SPEC.

    A row states either `pixels`, the first image as the network's input `(8, 8, 3)`, or `refused`, a part of the error
    line. `says` are parts of what is printed for an accepted input.
    """

    name: str
    build: Callable[[Path], Any]
    pixels: np.ndarray | None = None
    refused: str = ""
    says: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    atol: int = 0
    command: tuple[str, ...] = field(default=("data",))


def solid(colour: tuple[int, int, int]) -> np.ndarray:
    """Return an image of one colour, `(8, 8, 3) uint8`."""
    return np.full((SIZE, SIZE, 3), colour, np.uint8)


def halves(first: tuple[int, int, int], second: tuple[int, int, int], axis: int) -> np.ndarray:
    """Return an image with the first colour above (axis 0) or left of (axis 1) the second, `(8, 8, 3) uint8`."""
    return np.concatenate([np.split(solid(first), 2, axis)[0], np.split(solid(second), 2, axis)[0]], axis)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def odd(data: bytes, name: str = f"{ODD}.png") -> Callable[[Path], None]:
    """Return a function that writes a file of these bytes into the first class."""

    def build(folder: Path) -> None:
        (folder / "a" / name).write_bytes(data)

    return build


def chunk(kind: bytes, data: bytes, flaw: int = 0) -> bytes:
    """Return a chunk of a PNG; its checksum is wrong if `flaw` is not 0."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ flaw)


def with_chunk(data: bytes, added: bytes) -> bytes:
    """Return a PNG with a chunk added after its header."""
    return data[:33] + added + data[33:]


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """Return a JPEG with a segment added at its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF data of one directory: each entry's tag, type, count and four bytes of value or offset."""
    directory = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes, clear: bytes = b"") -> bytes:
    """Return a PNG made by hand, of a kind that Pillow does not write; `clear` is the colour that means transparent."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")]
    if clear:
        parts.insert(1, chunk(b"tRNS", clear))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def half_clear_by_value(bits: int, colour_type: int, left: bytes, right: bytes, clear: bytes) -> bytes:
    """Return eight rows of pixels, the left half of each `left`, a transparent value, the right half `right`."""
    return png(SIZE, SIZE, bits, colour_type, SIZE * (b"\0" + left + right), clear)


def tiff(bits: int, photometric: int, data: bytes, bands: int = 1, compression: int = 1) -> bytes:
    """Return a TIFF of 8x8 made by hand, of a kind that Pillow does not write."""
    shape = {256: SIZE, 257: SIZE, 258: bits, 259: compression, 262: photometric}
    fields = {**shape, 273: 8, 277: bands, 278: SIZE, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in fields.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(fields)) + entries + bytes(4)


def large_and_clear(folder: Path) -> None:
    """Write a transparent PNG with nearly the largest number of pixels that is decoded."""
    odd(png(7_000, 7_000, 8, 6, bytes(7_000 * 28_001)))(folder)


def broken_checksum() -> bytes:
    """Return a PNG with one bit of its pixels changed."""
    data = bytearray(encoded(noise(1)))
    data[data.index(b"IDAT") + 10] ^= 0xFF
    return bytes(data)


def noise(seed: int, size: int = 20) -> Image.Image:
    """Return an image of random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


def red(mode: str = "RGB", size: tuple[int, int] = (12, 12)) -> Image.Image:
    """Return a red image."""
    return Image.new("RGB", size, RED).convert(mode)


def palette_with_alpha() -> Image.Image:
    """Return an image with a palette, transparent on the left, blue on the right."""
    image = Image.new("P", (SIZE, SIZE), 1)
    image.putpalette([*RED, *BLUE])
    image.paste(0, (0, 0, SIZE // 2, SIZE))
    image.info["transparency"] = 0
    return image


def left_red(mode: str = "RGB") -> Image.Image:
    """Return an image that is red on the left, blue on the right."""
    image = Image.new("RGB", (SIZE, SIZE), BLUE)
    image.paste(RED, (0, 0, SIZE // 2, SIZE))
    return image.convert(mode)


def oriented(orientation: int, *others: tuple[int, int, int, bytes]) -> bytes:
    """Return a JPEG, red on the left as it is stored, with an orientation and other entries in its EXIF data."""
    tag = (0x0112, 3, 1, struct.pack("<HH", orientation, 0))
    image = encoded(left_red(), "JPEG", quality=100, subsampling=0)
    return with_segment(image, 0xE1, b"Exif\0\0" + exif(tag, *others))


def animated(kind: str) -> bytes:
    """Return an animation of a red and a blue image."""
    return encoded(red(), kind, save_all=True, append_images=[Image.new("RGB", (12, 12), BLUE)], lossless=True)


def half_clear(mode: str) -> Image.Image:
    """Return an image that is transparent on the left, red or black on the right."""
    image = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    image.paste((*RED, 255) if mode == "RGBA" else (*BLACK, 255), (SIZE // 2, 0, SIZE, SIZE))
    return image.convert(mode)


def link(target: str, name: str = ODD) -> Callable[[Path], None]:
    """Return a function that makes a symbolic link in the first class."""

    def build(folder: Path) -> None:
        (folder / "a" / name).symlink_to(target)

    return build


def fifo(folder: Path) -> None:
    """Make a named pipe in the first class."""
    os.mkfifo(folder / "a" / ODD)


def fifo_table(folder: Path) -> str:
    """Make a named pipe that looks like a table."""
    os.mkfifo(folder / "table.csv")
    return "images/table.csv"


def sparse(folder: Path) -> None:
    """Make a file of 20 GB that takes no space on disk."""
    with (folder / "a" / ODD).open("wb") as stream:
        stream.truncate(20_000_000_000)


def raw_name(name: bytes) -> Callable[[Path], None]:
    """Return a function that writes a red image under a name of these bytes."""

    def build(folder: Path) -> None:
        Path(os.fsdecode(os.fsencode(folder / "a") + b"/" + name)).write_bytes(encoded(red()))

    return build


def leftovers(folder: Path) -> None:
    """Write files that file managers and version control leave behind."""
    for name in (".DS_Store", "Thumbs.db", "._1.png", "desktop.ini"):
        (folder / "a" / name).write_bytes(b"no image")
    (folder / "a" / "1.png:Zone.Identifier").write_bytes(b"[ZoneTransfer]")
    for name in (".git", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "a/@eaDir"):
        (folder / name).mkdir()
        (folder / name / "1.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("beside the classes")
    (folder / "a" / "1.xmp").write_text("beside an image")
    (folder / "a" / f"{ODD}.png").write_bytes(encoded(red()))


def class_of(count: int, name: str | bytes = "c") -> Callable[[Path], None]:
    """Return a function that makes a third class with some images."""

    def build(folder: Path) -> None:
        new = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))
        new.mkdir()
        for i in range(count):
            noise(1000 + i).save(new / f"{i}.png")

    return build


def only_one_class(folder: Path) -> None:
    """Remove the second class."""
    for path in (folder / "b").iterdir():
        path.unlink()
    (folder / "b").rmdir()


def empty_folder(folder: Path) -> str:
    """Make an empty folder."""
    (folder / "nothing").mkdir()
    return "images/nothing"


def nested(folder: Path) -> None:
    """Write an image some folders down in the first class."""
    deep = folder / "a" / ODD / "deeper" / "still.png"
    deep.mkdir(parents=True)
    (deep / "image").write_bytes(encoded(red()))


def given_splits(folder: Path, foreign: str = "") -> str:
    """Write a folder with splits of its own, and a red image in both."""
    for split, first in (("train", 0), ("test", 100)):
        for label in ("a", "b"):
            target = folder / "split" / split / label
            target.mkdir(parents=True)
            for i in range(6):
                noise(first + i + 50 * (label == "b")).save(target / f"{i}.png")
    (folder / "split" / "train" / "a" / f"{ODD}.png").write_bytes(encoded(red()))
    (folder / "split" / "test" / "a" / "0-copy.bmp").write_bytes(encoded(red(), "BMP"))
    if foreign:
        (folder / "split" / foreign).mkdir()
    return "images/split"


def folds(folder: Path) -> str:
    """Write three folds, each with the folders of two classes."""
    for i in range(3):
        make_images(folder / "folds" / f"fold_{i}")
    return "images/folds"


def one_level_too_high(folder: Path) -> str:
    """Write the classes into the only folder of another."""
    make_images(folder / "up" / "pets")
    return "images/up"


def splits_without_classes(folder: Path) -> str:
    """Write images directly into folders of splits."""
    for name, split in (("a", "train"), ("b", "test")):
        (folder / "flat").mkdir(exist_ok=True)
        (folder / name).rename(folder / "flat" / split)
    return "images/flat"


def flat_test(folder: Path) -> str:
    """Write a folder with splits of its own, and a test image in no class."""
    given_splits(folder)
    red().save(folder / "split" / "test" / "0.png")
    return "images/split"


def renamed(folder: Path, train: str, test: str) -> str:
    """Write a folder with splits of its own under other names."""
    given_splits(folder)
    (folder / "split" / "test").rename(folder / "split" / test)
    (folder / "split" / "train").rename(folder / "split" / train)
    return "images/split"


def class_in_test_only(folder: Path) -> str:
    """Write a folder with splits of its own, and a class that only test has."""
    given_splits(folder)
    (folder / "split" / "test" / "c").mkdir()
    red().save(folder / "split" / "test" / "c" / "0.png")
    return "images/split"


def same_under_two_labels(folder: Path) -> None:
    """Write the same pixels into both classes."""
    (folder / "a" / f"{ODD}.png").write_bytes(encoded(red()))
    (folder / "b" / "the-same.tif").write_bytes(encoded(red(), "TIFF"))


def weights(array: np.ndarray, cut: int | None = None) -> Callable[[Path], None]:
    """Return a function that writes a packed array, or only a part of the file, as weights of all layers."""

    def build(folder: Path) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0000.npy", "w") as member:
            np.lib.format.write_array(member, array, allow_pickle=True)
        (folder.parent / "w.npz").write_bytes(stream.getvalue()[:cut])

    return build


def archive(**arrays: np.ndarray) -> Callable[[Path], str]:
    """Return a function that writes arrays into an .npz file."""

    def build(folder: Path) -> str:
        np.savez(folder / "data.npz", **arrays, allow_pickle=True)  # objects too: it is they that are refused
        return "images/data.npz"

    return build


def pixels(n: int = 20) -> np.ndarray:
    """Return random images, `(n, 8, 8, 3) uint8`, the first one red."""
    images = np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)
    images[0] = RED
    return images


LABELS = np.arange(20) % 2
MINE, NOBODY = ("--config", "mine.toml"), ("--set", "workspace=~nobody-9")
WEIGHTS = ("--set", "teacher.weights=w.npz")


def one_array(folder: Path) -> str:
    """Write images without labels."""
    np.save(folder / "data.npy", pixels())
    return "images/data.npy"


def settings(data: bytes) -> Callable[[Path], None]:
    """Return a function that writes a file of settings."""

    def build(folder: Path) -> None:
        (folder.parent / "mine.toml").write_bytes(data)

    return build


def table(text: str, encoding: str = "utf-8") -> Callable[[Path], str]:
    """Return a function that writes a table with this text."""

    def build(folder: Path) -> str:
        (folder / "table.csv").write_text(text, encoding)
        return "images/table.csv"

    return build


def whole_table(extra: str = "", columns: str = "path,label") -> str:
    """Return a table of all images, with an extra row before them."""
    rows = [f"{label}/{i}.png,{label}" for label in ("a", "b") for i in range(10)]
    return "\n".join([columns, *([extra] if extra else []), *rows]) + "\n"


def moved_table(folder: Path) -> str:
    """Write a table of all images into another folder."""
    (folder.parent / "tables").mkdir()
    (folder.parent / "tables" / "table.csv").write_text(whole_table())
    return "tables/table.csv"


def red_in_table(folder: Path) -> str:
    """Write a red image that is the first row of a table."""
    (folder / "a" / f"{ODD}.png").write_bytes(encoded(red()))
    return table(whole_table(f"a/{ODD}.png,a"))(folder)


JPEG = encoded(noise(1, 64), "JPEG")
PNG = encoded(noise(1, 64))
RED_PNG, RED_JPEG = encoded(red()), encoded(red(), "JPEG", quality=100)
BOMB = b"a\0\0" + zlib.compress(bytes(2_000_000))
TOO_LARGE = "is larger than the 50,000,000 pixels that are decoded"
LARGE_BATCH = ("--set", "teacher.batch_size=4096")
NARROW = "teacher.architecture={name = 'vgg11', options = {width = 0.05}}"
SMALL = ("--set", "image.size=32", "--set", NARROW, "--set", "teacher.epochs=1")

ROWS = [
    Row("empty file", odd(b""), refused=f"a/{ODD}.png is empty"),
    Row("truncated JPEG", odd(JPEG[: len(JPEG) // 2]), refused="cannot be decoded: image file is truncated"),
    Row("truncated PNG", odd(PNG[: len(PNG) // 2]), refused="cannot be decoded: image file is truncated"),
    Row("JPEG cut in its header", odd(JPEG[:20]), refused=f"a/{ODD}.png"),
    Row("PNG with a wrong checksum", odd(broken_checksum()), refused="cannot be decoded"),
    Row(
        "text named .jpg",
        odd(b"I am no image", f"{ODD}.jpg"),
        refused="is not one of JPEG, PNG, BMP, WEBP, GIF, TIFF",
    ),
    Row("SVG", odd(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), refused="is not one of"),
    Row("a format that is not read", odd(encoded(red(), "ICO")), refused="is not one of"),
    Row("JPEG named .png", odd(encoded(red(), "JPEG", quality=100)), solid(RED), atol=2),
    Row("PNG without an ending", odd(encoded(red()), ODD), solid(RED)),
    Row("CMYK JPEG", odd(encoded(red("CMYK"), "JPEG", quality=100)), solid(RED), atol=2),
    Row("CMYK TIFF", odd(encoded(red("CMYK"), "TIFF")), solid(RED)),
    Row("grey PNG", odd(encoded(Image.new("L", (9, 9), 77))), solid((77, 77, 77))),
    Row("16-bit grey PNG", odd(encoded(Image.fromarray(np.full((9, 9), 0x4DFF, np.uint16)))), solid((77, 77, 77))),
    Row("16-bit RGB PNG", odd(png(2, 2, 16, 2, 2 * (b"\0" + 2 * b"\xff\x01\x4d\xff\x00\x80"))), solid((255, 77, 0))),
    Row("16-bit TIFF", odd(encoded(Image.fromarray(np.full((9, 9), 0x4DFF, np.uint16)), "TIFF")), solid((77, 77, 77))),
    Row("12-bit TIFF", odd(tiff(12, 1, bytes(96))), refused="has pixels of 12 bits; should have 8 or 16"),
    Row("16-bit TIFF, white is zero", odd(tiff(16, 0, 64 * b"\xff\xb2")), solid((77, 77, 77))),
    Row("CIELAB TIFF", odd(encoded(Image.new("LAB", (9, 9), (0, 128, 128)), "TIFF")), solid(BLACK), atol=1),
    Row(
        "2-bit grey PNG, one value transparent",
        odd(half_clear_by_value(2, 0, b"\x55", b"\0", b"\0\x01")),
        halves(WHITE, BLACK, 1),
    ),
    Row(
        "4-bit grey PNG, one value transparent",
        odd(half_clear_by_value(4, 0, b"\x11\x11", b"\0\0", b"\0\x01")),
        halves(WHITE, BLACK, 1),
    ),
    Row(
        "16-bit grey PNG, one value transparent",
        odd(half_clear_by_value(16, 0, 4 * b"\x4d\xff", 4 * b"\x4d\xfe", b"\x4d\xff")),
        halves(WHITE, (77, 77, 77), 1),
    ),
    Row(
        "16-bit RGB PNG, one value transparent",
        odd(half_clear_by_value(16, 2, 4 * b"\1\2\3\4\5\6", 4 * b"\xff\xff\0\0\0\0", b"\1\2\3\4\5\6")),
        halves(WHITE, RED, 1),
    ),
    Row("PNG, wrong checksum of a text", odd(with_chunk(RED_PNG, chunk(b"tEXt", b"a\0b", flaw=1))), solid(RED)),
    Row("PNG, two megabytes of text", odd(with_chunk(RED_PNG, chunk(b"zTXt", BOMB))), solid(RED)),
    Row("PNG, profile that is none", odd(with_chunk(RED_PNG, chunk(b"iCCP", b""))), solid(RED)),
    Row(
        "PNG, wrong checksum of pixels",
        odd(RED_PNG[:-13] + b"?" + RED_PNG[-12:]),
        refused="wrong checksum in chunk IDAT",
    ),
    Row("JPEG, profile that is none", odd(with_segment(RED_JPEG, 0xE2, b"ICC_PROFILE\0")), solid(RED), atol=2),
    Row(
        "TIFF of 13 bands",
        odd(tiff(8, 1, bytes(13 * 64), bands=13)),
        refused=f"a/{ODD}.png is a TIFF of 13 bands; should",
    ),
    Row("TIFF with broken compression", odd(tiff(8, 1, b"junk", compression=5)), refused="cannot be decoded"),
    Row("49-megapixel RGBA PNG", large_and_clear, solid(WHITE)),
    Row("1-bit PNG", odd(encoded(Image.new("1", (9, 9), 1))), solid(WHITE)),
    Row("palette PNG with alpha", odd(encoded(palette_with_alpha())), halves(WHITE, BLUE, 1), atol=0),
    Row("RGBA PNG", odd(encoded(half_clear("RGBA"))), halves(WHITE, RED, 1)),
    Row(
        "RGBA PNG over another colour",
        odd(encoded(half_clear("RGBA"))),
        halves(BLUE, RED, 1),
        options=("--set", "image.background=[0, 0, 255]"),
    ),
    Row("grey PNG with alpha", odd(encoded(half_clear("LA"))), halves(WHITE, BLACK, 1)),
    Row("RGBA WebP", odd(encoded(half_clear("RGBA"), "WEBP", lossless=True)), halves(WHITE, RED, 1)),
    Row("BMP", odd(encoded(left_red(), "BMP")), halves(RED, BLUE, 1)),
    Row("TIFF", odd(encoded(left_red(), "TIFF", compression="tiff_lzw")), halves(RED, BLUE, 1)),
    Row("TIFF of floats", odd(encoded(Image.new("F", (9, 9), 0.5), "TIFF")), refused="has pixels of 32 bits"),
    Row("TIFF of 32-bit integers", odd(encoded(Image.new("I", (9, 9), 5), "TIFF")), refused="has pixels of 32 bits"),
    Row("animated GIF", odd(animated("GIF")), solid(RED)),
    Row("animated WebP", odd(animated("WEBP")), solid(RED)),
    Row("EXIF: lying on its side", odd(oriented(6)), halves(RED, BLUE, 0), atol=3),
    Row(
        "EXIF: lying on its side, beside an odd tag",
        odd(oriented(6, (0x0128, 2, 4, b"abc\0"))),
        halves(RED, BLUE, 0),
        atol=3,
    ),
    Row("EXIF: upside down", odd(oriented(3)), halves(BLUE, RED, 1), atol=3),
    Row(
        "EXIF: no such orientation",
        odd(oriented(77)),
        halves(RED, BLUE, 1),
        atol=3,
    ),
    Row("1x1", odd(encoded(red(size=(1, 1)))), solid(RED)),
    Row(
        "1x20000, cropped",
        odd(encoded(red(size=(1, 20_000)))),
        solid(RED),
        says=("cuts away 5 % of an image on average, 100 % at most",),
    ),
    Row(
        "size that may be either way round",
        lambda folder: None,
        refused="image.size = '8x24': should be a side or [height, width]",
        options=("--set", "image.size=8x24"),
    ),
    Row(
        "1x20000, padded",
        odd(encoded(red(size=(1, 20_000)))),
        np.stack([[RED if x == 3 else WHITE for x in range(SIZE)] for _ in range(SIZE)]).astype(np.uint8),
        options=("--set", "image.fit=pad"),
    ),
    Row("20000x1, stretched", odd(encoded(red(size=(20_000, 1)))), solid(RED), options=("--set", "image.fit=stretch")),
    Row(
        "decompression bomb",
        odd(png(30_000, 30_000, 8, 2, b"\0" * 1000)),
        refused=TOO_LARGE,
    ),
    Row(
        "more pixels than are decoded",
        odd(png(8_000, 7_000, 8, 0, b"\0" * 1000)),
        refused=TOO_LARGE,
    ),
    Row("header of 2^31 pixels a side", odd(png(2**31 - 1, 2**31 - 1, 8, 2, b"")), refused=f"a/{ODD}.png"),
    Row("20 GB of nothing", sparse, refused="bytes; at most 400,000,000 are read"),
    Row("dangling link", link("nowhere.png"), refused=f"a/{ODD} No such file"),
    Row("link to itself", link(ODD), refused="symbolic links"),
    Row("link to an image", link("../b/0.png"), np.asarray(noise(20).resize((8, 8), Image.Resampling.BILINEAR))),
    Row("link to a folder around it", link(".."), refused="a link that leads back to a folder around it"),
    Row("FIFO named .csv", fifo_table, refused="images/table.csv: is not a regular file"),
    Row("FIFO", fifo, refused=f"a/{ODD} is not a regular file"),
    Row("name that is no UTF-8", raw_name(b"0-\xff\xfe.png"), solid(RED)),
    Row("name of 255 bytes", raw_name(b"0-" + b"0" * 249 + b".png"), solid(RED)),
    Row("name with a line break", raw_name(b"0-\n.png"), solid(RED)),
    Row("unreadable, name with a line break", odd(b"", "0-\n.png"), refused="a/0-\\n.png is empty"),
    Row(
        "image beside the classes",
        odd(encoded(red()), "../loose.jpg"),
        refused="loose.jpg: an image beside the class folders",
    ),
    Row("workspace of brackets", nested, says=("[b]",), options=("--set", "workspace='[b]'")),
    Row(
        "hidden files, Thumbs.db", leftovers, solid(RED), says=("21 images", "1 file is no image and left out: 1 .xmp")
    ),
    Row("nested folders", nested, solid(RED)),
    Row("empty class", class_of(0), refused="images/c: a class without images"),
    Row("single class", only_one_class, refused="has one class, 'a'; should have two or more"),
    Row("one-image class", class_of(1), refused="class 'c' has 1 image; should have at least 3"),
    Row("class name with a joiner", class_of(3, "\u0645\u06cc\u200c\u062e\u0648\u0631\u0645"), says=("3 classes",)),
    Row("class name in another case", class_of(3, "A"), says=("classes with nearly the same name: 'A' and 'a'",)),
    Row(
        "class name with a space before it",
        class_of(3, " b"),
        says=("23 images", "2 classes", "names taken for one, as only spaces or Unicode forms differ: ' b' and 'b'"),
    ),
    Row("class name that is no UTF-8", class_of(3, b"c\xff"), refused="class names should be UTF-8"),
    Row("class name with a line break", class_of(3, "c\nd"), refused="class names should be UTF-8 text of one line"),
    Row("folder without anything", empty_folder, refused="has no folders with images"),
    Row("no such folder", lambda folder: "images/nowhere", refused="there is no such file or folder"),
    Row("one image for all", lambda folder: "images/a/0.png", refused="is one image; should be a folder"),
    Row("one array for all", one_array, refused="is one array; images and labels should be in one .npz"),
    Row("JSON for a table", lambda f: odd(b"[]", "t.json")(f) or "images/a/t.json", refused="is JSON; save its paths"),
    Row("settings in Latin-1", settings(b"# gr\xf6\xdfe"), refused="not TOML, which is UTF-8", options=MINE),
    Row("settings in UTF-16", settings("[image]\nsize = 8".encode("utf-16")), options=MINE),
    Row("workspace in nobody's home", lambda folder: None, refused="there is no user 'nobody-9'", options=NOBODY),
    Row("duplicates across splits", given_splits, solid(RED), says=("1 image is in both train and test",)),
    Row(
        "folder beside train and test", lambda f: given_splits(f, "extra"), refused="beside train/ there should be only"
    ),
    Row("images of test in no class", flat_test, refused="split/test/0.png: an image beside the class folders"),
    Row(
        "Training and Testing",
        lambda f: renamed(f, "Training", "Testing"),
        solid(RED),
        says=("in both train and test",),
    ),
    Row(
        "Training Data and test_set",
        lambda f: renamed(f, "Training Data", "test_set"),
        solid(RED),
        says=("folders taken for splits: Training Data for train, test_set for test", "in both train and test"),
    ),
    Row(
        "folds", folds, refused="images/folds: fold_0, fold_1, fold_2 all hold the folders a, b; which are the classes?"
    ),
    Row(
        "one level too high",
        one_level_too_high,
        refused="images/up/pets: is the only class, and holds folders a, b; give",
    ),
    Row("splits without classes", splits_without_classes, refused="test, train hold no folders of classes"),
    Row("val and test, no train", lambda f: renamed(f, "val", "test"), refused="has test and validation, but no train"),
    Row("class in test only", class_in_test_only, refused="class 'c' has no image in train"),
    Row("the same image under two labels", same_under_two_labels, solid(RED), says=("(a) and b/the-same.tif (b)",)),
    Row(
        "npz with NaN", archive(images=np.full((20, 8, 8), np.nan), labels=LABELS), refused="should be a finite number"
    ),
    Row("npz out of range", archive(images=pixels().astype(int) * 2, labels=LABELS), refused="should be 0 to 255"),
    Row(
        "npz, splits of two ranges",
        archive(x_train=pixels() / 255, y_train=LABELS, x_test=pixels() * 1.0, y_test=LABELS),
        refused="x_train: reaches 1, but images/data.npz: x_test 255; should have the same scale",
    ),
    Row(
        "npz, floats a little above 1",
        archive(images=np.where(pixels() == RED[0], 1.0000001, pixels() / 255), labels=LABELS),
        solid(RED),
    ),
    Row("npz of true and false", archive(images=pixels() == RED[0], labels=LABELS), solid(RED)),
    Row(
        "npz, 12 bits in 16",
        archive(images=pixels().astype(np.uint16) * 16, labels=LABELS),
        refused="images: uint16 up to 4080 does not tell which value is white; should be 0 to 255 as uint8",
    ),
    Row("npz of 0 and 1", archive(images=pixels() // 255, labels=LABELS), refused="uint8 up to 1 does not tell"),
    Row(
        "npz, dark",
        archive(images=pixels() // 17, labels=LABELS),
        solid((15, 0, 0)),
        says=("the brightest pixel of all images is 15 of 255",),
    ),
    Row(
        "npz, splits of two types",
        archive(x_train=pixels(), y_train=LABELS, x_test=pixels() / 255, y_test=LABELS),
        refused="x_test: has type float64; should have uint8, as",
    ),
    Row("npz, a test split alone", archive(x_test=pixels(), y_test=LABELS), refused="has test, but no train"),
    Row("npz, names of MedMNIST", archive(train_images=pixels(), train_labels=LABELS[:, None]), solid(RED)),
    Row("npz, one-hot labels", archive(images=pixels(), labels=np.eye(2)[LABELS]), solid(RED), says=("20 images",)),
    Row(
        "npz, several labels",
        archive(images=pixels(), labels=np.ones((20, 2))),
        refused="labels[0] = [1.0, 1.0]: should",
    ),
    Row("npz, labels out of range", archive(images=pixels(), labels=LABELS - 1), refused="labels[0] = -1: should be"),
    Row("npz, labels missing", archive(images=pixels()), refused="data.npz"),
    Row("npz of objects", archive(images=pixels(), labels=LABELS.astype(object)), refused="never unpickled"),
    Row("npz, string labels", archive(images=pixels(), labels=np.array(["a", "b"])[LABELS]), solid(RED)),
    Row("npz with too few labels", archive(images=pixels(), labels=LABELS[:9]), refused="one label per image"),
    Row("table", red_in_table, solid(RED)),
    Row("table without labels", table("path\na/0.png\n"), refused="label: there is no such column, only path"),
    Row("table with semicolons", table(whole_table().replace(",", ";")), says=("20 images",)),
    Row("table in UTF-16", table(whole_table(), "utf-16"), says=("20 images",)),
    Row(
        "table in Latin-1",
        table(whole_table(columns="path,label,größe").replace("g,a", "g,a,é").replace("g,b", "g,b,é"), "cp1252"),
        says=("is read as Windows-1252: does it say",),
    ),
    Row(
        "table in no encoding", lambda f: odd(b"path,label\n\x81", "t.csv")(f) or "images/a/t.csv", refused="is neither"
    ),
    Row(
        "table of Keras' columns", table(whole_table(columns="filename,class")), says=("'filename' is taken for path",)
    ),
    Row(
        "table with two columns of paths",
        table(whole_table(columns="file,image")),
        refused="one of them should be named path",
    ),
    Row(
        "table without a header",
        table(whole_table(columns="a/0.png,a")),
        refused="has no header, but begins with a/0.png, a",
    ),
    Row("table from Windows", table(whole_table().replace("/", "\\")), says=("20 images",)),
    Row("table of files elsewhere", moved_table, refused="none of its 20 files is in"),
    Row("table of files elsewhere, with root", moved_table, says=("20 images",), options=("--set", "data.root=images")),
    Row(
        "root that is no folder",
        moved_table,
        refused="data.root = 'nowhere': there is no such folder",
        options=("--set", "data.root=nowhere"),
    ),
    Row(
        "root of a folder",
        lambda folder: None,
        refused="images is no table with paths in it",
        options=("--set", "data.root=images"),
    ),
    Row(
        "table that is a spreadsheet",
        lambda f: odd(b"PK\3\4", "t.csv")(f) or "images/a/t.csv",
        refused="is packed; unpack it",
    ),
    Row("table without rows", table("path,label\n"), refused="has no rows"),
    Row("table with a short row", table(whole_table("a/1.png")), refused="line 2 has 1 value, the header 2"),
    Row("table naming no file", table(whole_table("gone.png,a")), refused="gone.png No such file"),
    Row("table naming a device", table(whole_table("/dev/zero,a")), refused="/dev/zero is not a regular file"),
    Row(
        "table with labels of 5,000 digits",
        table(whole_table("\n".join(f"a/1.png,{'1' * 5000}" for _ in range(3)))),
        refused="class '1111",
    ),
    Row("table with an empty label", table(whole_table("a/1.png,")), refused="row 1 has no label"),
    Row("table with a null character", table(whole_table("a\0b.png,a")), refused="table.csv"),
    Row("table that is no text", lambda f: odd(b"\xff\xfe\0", "t.csv")(f) or "images/a/t.csv", refused="as a table"),
    Row(
        "group that is no expression",
        lambda folder: None,
        refused="data.group = '(': is not a regular expression",
        options=("--set", "data.group=("),
    ),
    Row(
        "group that does not match",
        lambda folder: None,
        refused="data.group = 'x': does not match 0.png",
        options=("--set", "data.group=x"),
    ),
    Row(
        "weights that are pickled",
        weights(np.array([print], object)),
        refused="teacher.weights: w.npz: 0000: holds Python objects, which are never unpickled",
        options=WEIGHTS,
    ),
    Row(
        "weights that unpack to 50 MB",
        weights(np.zeros((5_000, 10_000), np.uint8)),
        refused="teacher.weights: w.npz: claims 1 arrays of 50,000,128 bytes, more than such a file can hold",
        options=WEIGHTS,
    ),
    Row(
        "weights cut short",
        weights(np.zeros((8, 8), np.float32), cut=-20),
        refused="teacher.weights: w.npz: cannot be read as .npz",
        options=WEIGHTS,
    ),
    Row(
        "batch larger than the data",
        odd(encoded(red())),
        options=(*SMALL, *LARGE_BATCH),
        command=("teacher",),
    ),
]


def make_images(folder: Path) -> Path:
    """Write two classes of ten images each and return their folder."""
    for n, label in enumerate(("a", "b")):
        (folder / label).mkdir(parents=True)
        for i in range(10):
            noise(20 * n + i).save(folder / label / f"{i}.png")
    return folder
