"""Which files are read, and to which pixels: those that browsers and TensorFlow's decoders give."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.hostile_rows import BOMB, chunk, encoded, exif, left_red, png, tiff, with_chunk, with_segment
from compress.data.decoding import UnreadableImageError, identify, open_image
from compress.data.preparation import prepare

PLAIN = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8))
PNG, JPEG = encoded(PLAIN), encoded(PLAIN, "JPEG")
ORIENTATION, SIX = 0x0112, struct.pack("<HH", 6, 0)
ON_ITS_SIDE = (ORIENTATION, 3, 1, SIX)
HEADER, PIXELS = PNG[8:33], PNG[33:-12]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:Description tiff:Orientation="6"/></x:xmpmeta>'
ANCILLARY = [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"sBIT", b"bKGD", b"eXIf"]
ANCILLARY += [b"acTL", b"fcTL", b"fdAT", b"prVt"]


def pixels(data: bytes) -> list:
    """The pixels of an image file on white, `(height, width, 3)`."""
    image = open_image(data)
    width, height = image.size
    size = max(width, height)
    whole = prepare(image, size=size, fit="pad", channels=3, background=(255, 255, 255))
    top, left = (size - height) // 2, (size - width) // 2
    return whole[top : top + height, left : left + width].tolist()


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadableImageError) as raised:
        open_image(data)
    return str(raised.value)


@pytest.mark.parametrize("kind", ANCILLARY, ids=bytes.decode)
@pytest.mark.parametrize(("body", "flaw"), [(b"a\0b", 1), (b"", 0), (b"junk", 0), (bytes(8), 0), (b"\xff" * 26, 0)])
def test_no_chunk_that_changes_no_pixel_decides_whether_a_png_is_read(kind: bytes, body: bytes, flaw: int) -> None:
    odd = chunk(kind, body, flaw)

    assert pixels(with_chunk(PNG, odd)) == pixels(PNG)
    assert pixels(PNG[:-12] + odd + PNG[-12:]) == pixels(PNG)
    assert pixels(PNG[:-12] + odd[:-5]) == pixels(PNG)  # cut short


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"], ids=bytes.decode)
def test_text_and_profiles_of_a_png_are_not_unpacked(kind: bytes) -> None:
    assert pixels(with_chunk(PNG, chunk(kind, b"a\0\1\0\0\0" + BOMB[3:] if kind == b"iTXt" else BOMB))) == pixels(PNG)


@pytest.mark.parametrize(
    "data",
    [
        PNG[:8] + chunk(b"IHDR", HEADER[8:-4], 1) + PIXELS,
        PNG[:33] + chunk(b"IDAT", PIXELS[8:-4], 1) + PNG[-12:],
        PNG[:33] + chunk(b"IDAT", PIXELS[8:30]) + chunk(b"IDAT", PIXELS[30:-4], 1) + PNG[-12:],
        with_chunk(PNG, chunk(b"PLTE", bytes(3), 1)),
    ],
    ids=["IHDR", "IDAT", "second IDAT", "PLTE"],
)
def test_a_wrong_checksum_where_pixels_hang_on_it_is_an_error(data: bytes) -> None:
    assert refusal(data).startswith("cannot be decoded: wrong checksum in chunk ")


def test_pixels_cut_short_are_an_error_whatever_length_a_chunk_claims() -> None:
    assert refusal(PNG[:60]).startswith("cannot be decoded: image file is truncated")
    assert refusal(PNG[:33] + struct.pack(">I", 2**31 - 1) + PIXELS[4:40]).startswith("cannot be decoded")


@pytest.mark.parametrize(
    "clear",
    [
        (chunk(b"tRNS", b"\0", 1), b""),
        (b"", chunk(b"tRNS", b"\0")),
        (chunk(b"tRNS", b"\xff\xff") + chunk(b"tRNS", b"\0\0"), b""),
    ],
    ids=["wrong checksum", "after the pixels", "the second"],
)
def test_transparent_colours_that_libpng_passes_over_are_passed_over(clear: tuple[bytes, bytes]) -> None:
    palette = encoded(left_red().quantize(2))
    start = palette.index(b"IDAT") - 4
    opaque = [[[255, 0, 0]] * 4 + [[0, 0, 255]] * 4] * 8

    assert pixels(palette) == opaque
    assert pixels(palette[:start] + clear[0] + palette[start:-12] + clear[1] + palette[-12:]) == opaque


def test_an_animated_png_whose_frames_are_broken_is_its_default_image() -> None:
    control = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(
        b"fcTL", struct.pack(">5IHHBB", 7, 9, 9, 99, 99, 1, 1, 0, 0)
    )

    assert pixels(with_chunk(PNG, control)) == pixels(PNG)


@pytest.mark.parametrize(
    "others",
    [
        [(0x0128, 2, 4, b"abc\0")],  # text where a number belongs
        [(0x011A, 5, 1, struct.pack("<I", 38)), (0x0000, 3, 1, SIX)],  # a rational with denominator 0
        [(0x011A, 10, 1, struct.pack("<I", 8))],  # a signed rational where an unsigned one belongs
        [(0x010E, 2, 2**32 - 1, struct.pack("<I", 8))],  # four gigabytes of text
        [(0x010F, 2, 500, struct.pack("<I", 2**31))],  # beyond the end
        [(0x8769, 4, 1, struct.pack("<I", 8))],  # a directory that is the one it is in
        [(0x9286, 99, 1, bytes(4))],  # no such type
        [(*ON_ITS_SIDE[:3], struct.pack("<HH", 3, 0))],  # a second orientation
    ],
)
def test_an_orientation_is_read_whatever_is_beside_it(others: list[tuple[int, int, int, bytes]]) -> None:
    tags = exif(*sorted([ON_ITS_SIDE, *others], key=lambda entry: entry[0])) + bytes(8)
    upright = np.rot90(np.asarray(PLAIN), -1).tolist()

    assert pixels(with_chunk(PNG, chunk(b"eXIf", tags))) == upright
    assert pixels(encoded(PLAIN, "WEBP", lossless=True, exif=tags)) == upright
    jpeg = with_segment(JPEG, 0xE1, b"Exif\0\0" + tags)
    assert pixels(jpeg) == np.rot90(pixels(JPEG), -1).tolist()
    with Image.open(io.BytesIO(encoded(PLAIN, exif=tags))) as opened:  # by a user, whose Pillow has read all of it
        from compress.data.decoding import decoded

        assert np.asarray(decoded(opened)).tolist() == upright


@pytest.mark.parametrize("orientation", range(10))
def test_orientations_are_those_of_the_standard(orientation: int) -> None:
    """EXIF 2.32, orientation: where row 0 and column 0 of what is stored are seen."""
    stored = np.asarray(PLAIN)
    seen = [stored, stored[:, ::-1], stored[::-1, ::-1], stored[::-1], stored.transpose(1, 0, 2)]
    seen += [np.rot90(stored, -1), stored[::-1, ::-1].transpose(1, 0, 2), np.rot90(stored)]
    expected = seen[orientation - 1] if 1 <= orientation <= 8 else stored
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        tags = mark + struct.pack(f"{order}IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)

        assert pixels(with_chunk(PNG, chunk(b"eXIf", tags))) == expected.tolist()


@pytest.mark.parametrize(
    "tags",
    [
        b"",
        b"junk" * 4,
        b"II*\0",
        exif(ON_ITS_SIDE)[:16],
        b"II*\0" + struct.pack("<I", 2**31) + exif(ON_ITS_SIDE)[8:],
        exif((ORIENTATION, 4, 1, SIX)),
        exif((ORIENTATION, 3, 2, SIX)),
        exif((ORIENTATION, 2, 2, b"6\0\0\0")),
    ],
)
def test_what_is_no_orientation_to_browsers_turns_nothing(tags: bytes) -> None:
    assert pixels(with_chunk(PNG, chunk(b"eXIf", tags))) == pixels(PNG)
    assert pixels(with_segment(JPEG, 0xE1, b"Exif\0\0" + tags)) == pixels(JPEG)


def test_an_orientation_in_xmp_or_in_text_turns_nothing() -> None:
    hexadecimal = (b"Exif\0\0" + exif(ON_ITS_SIDE)).hex()
    text = zlib.compress(f"\nexif\n{len(hexadecimal) // 2:8}\n{hexadecimal}\n".encode())

    assert pixels(with_segment(JPEG, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)) == pixels(JPEG)
    assert pixels(with_chunk(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))) == pixels(PNG)
    assert pixels(with_chunk(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + text))) == pixels(PNG)
    assert pixels(encoded(PLAIN, "WEBP", lossless=True, xmp=XMP)) == pixels(PNG)
    assert pixels(encoded(PLAIN, "TIFF", tiffinfo={700: XMP})) == pixels(PNG)


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (0xE0, b"JFIF"),
        (0xE0, b"JFIF\0\1"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"MPF\0"),
        (0xE2, b"MPF\0" + exif((0xB001, 4, 1, struct.pack("<I", 2**31)))),
        (0xED, b"Photoshop 3.0\x008BIM"),
        (0xEE, b"Adobe"),
        (0xFE, b"\xff\xd9"),
    ],
)
@pytest.mark.parametrize("padding", [b"", b"\xff\xff"])
def test_no_segment_that_changes_no_pixel_decides_whether_a_jpeg_is_read(
    marker: int, body: bytes, padding: bytes
) -> None:
    odd = with_segment(JPEG, marker, body)

    assert pixels(odd[:2] + padding + odd[2:]) == pixels(JPEG)


def test_the_segment_that_tells_how_to_read_the_colours_of_a_jpeg_is_read() -> None:
    plain, turned = encoded(left_red("CMYK"), "JPEG", quality=100), encoded(left_red(), "JPEG", quality=100)
    assert plain[2:4] == b"\xff\xee"
    is_rgb = turned[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + turned[20:]

    assert abs(np.array(pixels(plain)) - pixels(encoded(left_red()))).max() <= 3  # stored inverted, as Adobe does
    assert pixels(turned[:20] + is_rgb[2:18] + turned[20:]) == pixels(
        turned
    )  # JFIF's segment means YCbCr, whatever Adobe's
    assert pixels(is_rgb) != pixels(turned)


def test_a_jpeg_may_be_followed_by_anything_but_must_be_whole() -> None:
    assert pixels(JPEG + b"anything" * 20) == pixels(JPEG)
    assert refusal(JPEG[:-40]).startswith("cannot be decoded")


@pytest.mark.parametrize(("size", "compression"), [(40, 6), (56, 3), (108, 3), (124, 3)])
def test_alpha_of_a_bmp_is_found_in_every_header(size: int, compression: int) -> None:
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = (
        struct.pack("<IiiHHIIiiII", size, 2, 1, 1, 32, compression, 0, 1, 1, 0, 0) + masks + bytes(max(0, size - 56))
    )
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + b"\1\2\3\xff\1\2\3\0"

    assert pixels(data) == [[[3, 2, 1], [255, 255, 255]]]


def test_there_is_nothing_where_the_first_frame_of_a_gif_does_not_reach() -> None:
    whole = encoded(Image.new("P", (2, 1), 1).point(lambda value: value), "GIF")
    frame = whole.index(b",")
    small = whole[:6] + struct.pack("<HH", 4, 1) + whole[10 : frame + 1] + struct.pack("<HH", 1, 0) + whole[frame + 5 :]
    [[first, second]] = pixels(whole)

    assert pixels(small) == [[[255] * 3, first, second, [255] * 3]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(8, 1, bytes(13 * 64), bands=13), "is a TIFF of 13 bands; should have 1 to 4"),
        (tiff(16, 1, bytes(2 * 5 * 64), bands=5), "is a TIFF of 5 bands; should have 1 to 4"),
        (tiff(8, 1, bytes(64), compression=9999), "is a TIFF that cannot be decoded"),
        (b"\xff\xd8\xff\xd9", "is a JPEG that cannot be decoded"),
        (b"GIF89a" + bytes(7), "is a GIF that cannot be decoded"),
        (b"I am no image", "is not one of JPEG, PNG, BMP, WEBP, GIF, TIFF"),
        (b"BMX", "is a BMP that cannot be decoded"),
        (b"II*\0", "is a TIFF that cannot be decoded"),
    ],
)
def test_a_file_that_is_refused_is_named_as_what_it_is(data: bytes, expected: str) -> None:
    assert refusal(data) == expected


def test_no_library_says_a_line_of_its_own(tmp_path: Path) -> None:
    odd = [tiff(8, 1, bytes(13 * 64), bands=13), *(tiff(8, 1, b"junk" * 9, compression=c) for c in (5, 7, 8, 50000))]
    odd += [tiff(8, 1, bytes(64)).replace(b"\x16\1\3\0\1", b"\x16\1\3\0\2"), encoded(PLAIN, "TIFF")[:-9]]
    odd += [with_segment(JPEG, 0xE2, b"MPF\0"), with_segment(JPEG, 0xE1, b"Exif\0\0" + exif((271, 2, 99, b"1234")))]
    odd += [with_chunk(PNG, chunk(b"acTL", bytes(8))), b"II*\0" + bytes([255] * 9)]
    for i, data in enumerate(odd):
        (tmp_path / f"{i}.odd").write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from compress.data.decoding import UnreadableImageError, open_image\n"
        "for file in sorted(Path(sys.argv[1]).glob('*.odd')):\n"
        "    try: print(open_image(file.read_bytes()).size)\n"
        "    except UnreadableImageError as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert answer.stdout.count("\n") == len(odd)
    assert answer.stderr == ""


def test_odd_files_have_the_pixels_that_tensorflow_gives() -> None:
    from compress.tensorflow import tf

    palette = encoded(left_red().quantize(2))
    start = palette.index(b"IDAT") - 4
    odd = [with_chunk(PNG, chunk(kind, b"a\0b", flaw=1)) for kind in ANCILLARY]
    odd += [with_chunk(PNG, chunk(kind, b"junk")) for kind in ANCILLARY]
    odd += [with_chunk(PNG, chunk(b"zTXt", BOMB)), palette[:start] + chunk(b"tRNS", b"\0", flaw=1) + palette[start:]]
    odd += [encoded(PLAIN, "BMP"), encoded(left_red(), "GIF")]

    for data in odd:
        theirs = tf.io.decode_image(data, expand_animations=False).numpy()
        np.testing.assert_array_equal(pixels(data), theirs)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    for data in (png(30_000, 30_000, 8, 2, b""), png(2**31 - 1, 2**31 - 1, 8, 6, b"")):
        with pytest.raises(UnreadableImageError, match="is larger than the 50,000,000 pixels that are decoded"):
            identify(data)
