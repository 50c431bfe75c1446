"""Which folders are taken for classes, which for splits, what is left out, and where one line asks."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from compress.data.class_folders import find
from compress.data.sources import folders
from compress.errors import BadInputError

NFC, NFD = (unicodedata.normalize(form, "Crème") for form in ("NFC", "NFD"))


def tree(root: Path, *paths: str) -> Path:
    """Write a file at each path, in which {} stands for two names of images."""
    for path in paths:
        for name in ("1.png", "2.jpg") if "{}" in path else ("",):
            file = root / path.format(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("Training Data", "Test Data"),
        ("seg_train", "seg_test"),
        ("TRAIN", "Testing"),
        (" trainset", "testset"),
    ],
)
def test_well_known_pairs_are_splits(train: str, test: str, tmp_path: Path) -> None:
    samples = folders.load(str(tree(tmp_path, f"{train}/a/{{}}", f"{train}/b/{{}}", f"{test}/b/{{}}")), "")

    assert samples.classes == ("a", "b")
    assert samples.splits is not None
    assert sorted(samples.splits) == ["test"] * 2 + ["train"] * 4
    by_class = {samples.classes[i] for i, split in zip(samples.labels, samples.splits, strict=True) if split == "test"}
    assert by_class == {"b"}
    usual = train == "TRAIN"
    assert samples.notes == (() if usual else (f"folders taken for splits: {train} for train, {test} for test",))


@pytest.mark.parametrize("name", ["metadata.csv", "Labels.TSV", "data.npz", "train.parquet"])
@pytest.mark.parametrize("images", [("1.png",), ("a/1.png", "loose.jpg"), ()])
def test_a_table_or_arrays_in_a_folder_of_no_classes_are_named(
    images: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    tree(tmp_path, *images, name)

    with pytest.raises(BadInputError) as caught:
        find(tmp_path)

    assert str(caught.value).endswith(f"; or give {tmp_path / name}")


def test_three_splits_are_taken_for_what_they_are(tmp_path: Path) -> None:
    found = find(tree(tmp_path, *(f"{split}/{name}/{{}}" for split in ("Train_Set", "dev", "test") for name in "ab")))

    assert found.splits == {"Train_Set": "train", "dev": "validation", "test": "test"}
    assert len(found.files) == 12


ASKED: dict[str, tuple[tuple[str, ...], str]] = {
    "folds": (
        tuple(f"fold_{i}/{name}/{{}}" for i in range(7) for name in ("cat", "dog", "owl")),
        "ROOT: fold_0, fold_1, fold_2, fold_3, fold_4, ... all hold the folders cat, dog, owl; which are the classes? "
        "If the outer ones are, put them into a folder train; if they are splits, name them train, val and test; or "
        "give one of them, such as ROOT/fold_0",
    ),
    "folds, one without a class": (
        ("f0/a/{}", "f0/b/{}", "f0/c/{}", "f1/a/{}", "f1/b/{}"),
        "f0, f1 all hold the folders a, b; which",
    ),
    "subjects": (("anna/01_palm/{}", "anna/02_fist/{}", "ben/01_palm/{}", "ben/02_fist/{}"), "which are the classes?"),
    "two data sets": (
        ("v1/train/a/{}", "v1/test/a/{}", "v2/train/a/{}", "v2/test/a/{}"),
        "v1, v2 all hold the folders test, train; folders of splits should be outside those of classes",
    ),
    "splits within classes": (
        ("cat/train/{}", "cat/test/{}", "dog/train/{}", "dog/test/{}"),
        "splits should be outside",
    ),
    "one level too high": (
        ("pets/cat/{}", "pets/dog/{}"),
        "ROOT/pets: is the only class, and holds folders cat, dog; give ROOT/pets",
    ),
    "one level too high, with splits": (
        ("data/train/a/{}", "data/test/a/{}"),
        "ROOT/data: is the only class, and holds folders test, train; give ROOT/data",
    ),
    "a folder too many in splits": (
        ("train/images/a/{}", "train/images/b/{}", "test/images/a/{}", "test/images/b/{}"),
        "ROOT/train/images: is the only class, and holds folders a, b; classes should be directly in the folders of",
    ),
    "another folder too many in splits": (
        ("seg_train/seg_train/a/{}", "seg_train/seg_train/b/{}", "seg_test/seg_test/a/{}"),
        "ROOT/seg_train/seg_train: is the only class",
    ),
    "images without classes": (
        ("train/{}", "test/{}"),
        "ROOT: test, train hold no folders of classes; should be train/ and test/ with one folder per class in each",
    ),
    "splits and classes in one name": (
        ("trainA/{}", "trainB/{}", "testA/{}", "testB/{}"),
        "ROOT: testA, testB, trainA",
    ),
    "classes and splits in one name": (("cat_train/{}", "cat_test/{}", "dog-valid/{}"), "hold no folders of classes"),
    "a split twice": (
        ("train/a/{}", "train/b/{}", "val/a/{}", "validation/a/{}"),
        "ROOT: val, validation all mean validation; should be one folder",
    ),
    "train, valid and holdout": (
        ("train/a/{}", "train/b/{}", "valid/a/{}", "holdout/a/{}"),
        "ROOT/holdout: beside train/ there should be only val/ (or validation/) and test/",
    ),
    "annotations beside images": (
        ("images/{}", "annotations/1.xml", "annotations/2.xml"),
        "ROOT/annotations: a class without images, but holds 2 other files; should hold some",
    ),
    "images alone": (("1.png", "2.png"), "ROOT: has no folders with images; should hold one folder per class"),
    "no class in one split": (
        ("train/{}", "test/a/{}", "test/b/{}"),
        "ROOT/train/1.png: an image beside the class folders",
    ),
    "an empty class": (("a/{}", "b/c/@eaDir/1.jpg"), "ROOT/b: a class without images; should hold some"),
}


@pytest.mark.parametrize(("paths", "said"), ASKED.values(), ids=ASKED)
def test_where_it_cannot_be_told_which_folders_are_classes_one_line_asks(
    paths: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError) as caught:
        folders.load(str(tree(tmp_path, *paths)), "")

    line = str(caught.value).replace(str(tmp_path), "ROOT")
    assert said in line
    assert line.startswith("ROOT")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("paths", "classes"),
    [
        (("cat/images/{}", "dog/images/{}"), ("cat", "dog")),  # Tiny ImageNet's
        (("train/cat/left/{}", "train/cat/right/{}", "train/dog/left/{}", "train/dog/right/{}"), ("cat", "dog")),
        (("cat/2019/{}", "cat/2020/{}", "dog/2020/{}", "dog/2021/{}"), ("cat", "dog")),
        (("cat/{}", "cat/a/{}", "cat/b/{}", "dog/a/{}", "dog/b/{}"), ("cat", "dog")),
        (("train/{}", "bus/{}", "car/{}"), ("bus", "car", "train")),
        (("1/{}", "2/{}", "10/{}"), ("1", "2", "10")),
        (("steam train/{}", "train_toy/{}"), ("steam train", "train_toy")),
        (("latest/{}", "trained/{}", "value/{}"), ("latest", "trained", "value")),
    ],
)
def test_folders_that_can_be_told_are_taken(paths: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path) -> None:
    samples = folders.load(str(tree(tmp_path, *paths)), "")

    assert samples.classes == classes
    assert samples.notes == ()


def test_what_systems_leave_is_skipped_wherever_it_is_and_sidecars_are_counted(tmp_path: Path) -> None:
    left = ["@eaDir/{}", "#recycle/{}", "$RECYCLE.BIN/S-1-5/{}", "lost+found/{}", ".DS_Store", "__MACOSX/a/{}"]
    left += ["System Volume Information/{}", "Thumbs.db", "1.png:Zone.Identifier"]
    good = ["a/{}", "b/{}", "b/deep/er/{}"]
    at = ["", "a/", "b/deep/"]
    notes = ["a/1.xmp", "a/1.png.json", "a/2.XMP", "b/deep/captions.txt", "README.md"]
    root = tree(tmp_path, *good, *(f"{where}{path}" for where in at for path in left), *notes)

    found = find(root)

    assert sorted(f"{folder}/{path}" for folder, path in found.files) == sorted(
        path.format(name) for path in good for name in ("1.png", "2.jpg")
    )
    assert found.notes == ("4 files are no images and left out: 1 .json, 1 .txt, 2 .xmp",)
    before = folders.fingerprint(str(root), tmp_path / "memo")
    tree(root, "b/more.xmp", "b/@eaDir/more.jpg")
    assert folders.fingerprint(str(root), tmp_path / "memo") == before


def test_one_name_in_two_forms_is_one_class_and_that_is_said(tmp_path: Path) -> None:
    samples = folders.load(str(tree(tmp_path, f"{NFD}/{{}}", " a/{}", "a/{}")), "")

    assert samples.classes == (NFC, "a")
    assert np.bincount(samples.labels).tolist() == [2, 4]
    assert samples.notes == ("names taken for one, as only spaces or Unicode forms differ: ' a' and 'a'",)


def test_a_class_may_be_spelt_otherwise_in_another_split(tmp_path: Path) -> None:
    samples = folders.load(str(tree(tmp_path, f"train/{NFD}/{{}}", "train/b/{}", f"test/{NFC}/{{}}")), "")

    assert samples.classes == (NFC, "b")
    assert samples.labels.tolist().count(0) == 4


def test_groups_are_the_same_in_both_forms_of_unicode(tmp_path: Path) -> None:
    samples = folders.load(str(tree(tmp_path, f"a/{NFD}-1.png", f"b/{NFC}-2.png")), "^[^-]+")

    assert samples.groups == [NFC, NFC]


def test_an_empty_folder_of_a_split_is_said(tmp_path: Path) -> None:
    (tree(tmp_path, "train/a/{}", "train/b/{}") / "test").mkdir()

    assert find(tmp_path).notes == ("test/ holds no folders of classes: test is taken from train",)
