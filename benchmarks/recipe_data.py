"""Makes the data sets on which benchmarks/recipes.py tries the recipe.

    python -m benchmarks.recipe_data FOLDER [--emoji TARBALL TARBALL]

Writes into FOLDER what is not there yet, and says in one line what cannot be made here:

    emoji/             64x64 PNGs with transparency in nine classes, of npm's packages emoji-datasource-facebook and
                       -apple, which `npm pack` gets if --emoji does not name their tarballs; EMOJI_GROUP keeps the two
                       pictures of an emoji in one split. Skin tones, nearly copies, are left out
    fashion6000.npz    500 training and 100 test images of each class of Fashion-MNIST, from Keras's folder or Debian's
                       package dataset-fashion-mnist
    ten-per-class.npz  10 training images of each class, and the same test images, so that accuracy can be told
    photos/            600 generated JPEGs of 320x240 in ten classes: see benchmarks/transfer.py
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from compress.data.samples import Pixels
from compress.data.sources import fashion_mnist
from compress.errors import CompressError

VENDORS = ("facebook", "apple")
RELEASE = "16.0.0"
SWATCHES = "Component"  # the category of five patches of colour
EMOJI_GROUP = "^[^.]+"  # for data.group: what stands before the vendor in a file's name
PHOTOS = 600
TEST_PER_CLASS = 100


def main() -> None:
    """Make each set that is missing, and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--emoji", nargs=len(VENDORS), type=Path, metavar="TARBALL", help=f"of {', '.join(VENDORS)}")
    arguments = parser.parse_args()
    makers: dict[str, Callable[[Path], None]] = {
        "emoji": partial(make_emoji, tarballs=arguments.emoji),
        "fashion6000.npz": partial(cut_fashion_mnist, train_per_class=500),
        "ten-per-class.npz": partial(cut_fashion_mnist, train_per_class=10),
        "photos": make_photos,
    }
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, make in makers.items():
        try:
            print(make_once(arguments.folder / name, make), flush=True)
        except (CompressError, OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            print(f"{name} is left out: {error}", flush=True)


def make_once(path: Path, make: Callable[[Path], None]) -> Path:
    """Let `make` write a file or a folder, unless it is there; it appears at `path` only when it is whole."""
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            make(Path(temporary) / path.name)
            (Path(temporary) / path.name).rename(path)
    return path


def make_emoji(folder: Path, tarballs: Sequence[Path] | None) -> None:
    """Write `CATEGORY/CODE.VENDOR.png` for each emoji of the two packages, without its variations in skin tone."""
    with tempfile.TemporaryDirectory() as temporary:
        for vendor, tarball in zip(VENDORS, tarballs or map(packed, VENDORS, [Path(temporary)] * 2), strict=True):
            package = Path(temporary) / vendor
            images = f"package/img/{vendor}/64"
            unpack(tarball, package, ("package/emoji.json", images))
            for emoji in json.loads((package / "package/emoji.json").read_text("utf-8")):
                if emoji[f"has_img_{vendor}"] and emoji["category"] != SWATCHES:
                    image, category = PurePosixPath(emoji["image"]).name, PurePosixPath(emoji["category"]).name
                    target = folder / category / f"{PurePosixPath(image).stem}.{vendor}.png"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(package / images / image, target)


def packed(vendor: str, folder: Path) -> Path:
    """Return the tarball of a vendor's package, as npm gets it."""
    name = f"emoji-datasource-{vendor}@{RELEASE}"
    result = subprocess.run(
        ["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    return folder / result.stdout.strip()


def unpack(tarball: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Extract the members of `names`, files or folders, from a tarball whose maker is not trusted."""

    def wanted(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
        inside = any(PurePosixPath(member.name).is_relative_to(name) for name in names)
        return tarfile.data_filter(member, target) if inside else None

    with tarfile.open(tarball) as tar:
        tar.extractall(folder, filter=wanted)


def cut_fashion_mnist(file: Path, train_per_class: int, test_per_class: int = TEST_PER_CLASS) -> None:
    """Write images drawn from Fashion-MNIST's train and test splits, as many of each class; the seed is fixed."""
    samples = fashion_mnist.load("fashion_mnist", "")
    assert isinstance(samples.images, Pixels)
    assert samples.splits is not None
    random, splits = np.random.default_rng(0), np.array(samples.splits)
    arrays = {"classes": np.array(samples.classes)}
    for split, count in (("test", test_per_class), ("train", train_per_class)):
        of_classes = [np.flatnonzero((splits == split) & (samples.labels == i)) for i in range(len(samples.classes))]
        kept = np.concatenate([random.permutation(members)[:count] for members in of_classes])
        arrays |= {f"x_{split}": samples.images.array[kept], f"y_{split}": samples.labels[kept]}
    np.savez_compressed(file, allow_pickle=False, **arrays)


def make_photos(folder: Path) -> None:
    """Write the generated photographs."""
    from benchmarks import transfer  # imports TensorFlow

    transfer.make_photos(folder, PHOTOS)


if __name__ == "__main__":
    main()
