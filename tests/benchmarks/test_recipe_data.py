"""The sets of benchmarks/recipe_data.py, from small packages: no test asks npm."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import recipe_data
from compress.artifacts import Split
from compress.data.array_samples import Part, array_samples
from compress.data.sources import folders

CATEGORIES = ("Activities", "Flags")
EMOJI = [
    {"image": f"{code}.png", "category": CATEGORIES[i % 2], "has_img_facebook": i != 3, "has_img_apple": True}
    for i, code in enumerate(("1f3a0-fe0f", "1f3a1", "1f3a2", "1f3a3"))
]
SWATCH = {"image": "1f3fb.png", "category": "Component", "has_img_facebook": True, "has_img_apple": True}


def tarball(folder: Path, vendor: str, *others: str) -> Path:
    """Write a vendor's package, with images of `EMOJI`, and files of other names."""
    picture = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(picture, "png")
    listed = [*EMOJI, SWATCH]
    images = [f"package/img/{vendor}/64/{emoji['image']}" for emoji in listed if emoji[f"has_img_{vendor}"]]
    contents = {"package/emoji.json": json.dumps(listed).encode()} | dict.fromkeys(
        (*images, *others), picture.getvalue()
    )
    with tarfile.open(folder / f"{vendor}.tgz", "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return folder / f"{vendor}.tgz"


def test_an_emoji_of_two_vendors_is_one_group_of_its_category(tmp_path: Path) -> None:
    tarballs = [tarball(tmp_path, vendor) for vendor in recipe_data.VENDORS]

    recipe_data.make_emoji(tmp_path / "emoji", tarballs)

    samples = folders.load(str(tmp_path / "emoji"), recipe_data.EMOJI_GROUP)
    assert samples.classes == CATEGORIES  # without the swatches
    codes = [str(emoji["image"])[: -len(".png")] for emoji in EMOJI]
    groups = sorted(zip(samples.groups or (), samples.labels.tolist(), strict=True))
    assert groups == sorted((code, i % 2) for i, code in enumerate(codes) for _ in range(1 if i == 3 else 2))


def test_only_what_is_asked_for_is_unpacked(tmp_path: Path) -> None:
    file = tarball(tmp_path, "apple", "package/img/apple/sheets/1.png", "package/img/apple/64/../../../../../out.png")

    with pytest.raises(tarfile.OutsideDestinationError):
        recipe_data.unpack(file, tmp_path / "inside", ("package/img/apple/64",))
    recipe_data.unpack(tarball(tmp_path, "facebook", "package/LICENSE"), tmp_path / "inside", ("package/emoji.json",))

    assert not (tmp_path / "out.png").exists()
    found = {path.name for path in (tmp_path / "inside").rglob("*") if path.is_file()}
    assert "emoji.json" in found
    assert not found & {"LICENSE", "1.png"}


def test_a_set_appears_only_when_it_is_whole_and_is_then_kept(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        folder.mkdir()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        recipe_data.make_once(tmp_path / "set", broken)
    assert not list(tmp_path.iterdir())
    recipe_data.make_once(tmp_path / "set", lambda folder: folder.mkdir())
    recipe_data.make_once(tmp_path / "set", broken)

    assert (tmp_path / "set").is_dir()


def test_each_class_of_fashion_mnist_keeps_as_many_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)

    sizes: dict[Split, int] = {"train": 60, "test": 2 * recipe_data.TEST_PER_CLASS + 20}
    parts = {
        split: Part(random.integers(0, 256, (n, 8, 8), np.uint8), np.arange(n) % 2, f"x_{split}", f"y_{split}")
        for split, n in sizes.items()
    }
    samples = array_samples("arrays", parts, ("a", "b"))
    monkeypatch.setattr("compress.data.sources.fashion_mnist.load", lambda *_: samples)

    recipe_data.cut_fashion_mnist(tmp_path / "few.npz", 3)
    recipe_data.cut_fashion_mnist(tmp_path / "more.npz", 20)

    few, more = np.load(tmp_path / "few.npz"), np.load(tmp_path / "more.npz")
    assert np.bincount(few["y_train"]).tolist() == [3, 3]
    assert np.bincount(more["y_train"]).tolist() == [20, 20]
    assert np.bincount(few["y_test"]).tolist() == [recipe_data.TEST_PER_CLASS] * 2
    np.testing.assert_array_equal(few["x_test"], more["x_test"])
