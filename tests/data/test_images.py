"""Images on disk: stored or decoded anew, read in any order, remembered by their digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from compress.artifacts import Dataset
from compress.config import load
from compress.context import Context
from compress.data.augmentation import Augmentation
from compress.data.describe import warnings
from compress.data.images import LISTED, STORED, images_of, in_batches
from compress.data.samples import Encoded, Files, Pixels
from compress.data.sheet import contact_sheet
from compress.data.table import data_facts
from compress.data.workers import Workers, at_once, result_of
from compress.errors import BadInputError, MachineError
from compress.stages import data
from tests.conftest import REPOSITORY


def context(folder: Path, notes: list[str]) -> Context:
    return Context("data", 0, 0, folder, folder, lambda fraction, words: None, notes.append)


def make(folder: Path, *settings: str, notes: list[str] | None = None) -> Dataset:
    config = load(assignments=[f"data.source={folder / 'images'}", "image.size=8", *settings])
    out = folder / f"out{len(list(folder.iterdir()))}"
    out.mkdir()
    return data.run(config.data, config.image, out, context(folder, [] if notes is None else notes))  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(30):
            shape = (*random.integers(5, 30, 2), 3)
            Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(tmp_path / "images" / label / f"{i}.png")
    return tmp_path


def positions(made: Dataset) -> dict[str, list[int]]:
    return {split: np.load(made.folder / f"{split}.npy").tolist() for split in ("train", "validation", "test")}


def test_the_source_of_an_image_is_its_files_bytes_or_its_row(folder: Path) -> None:
    data = (folder / "images" / "a" / "0.png").read_bytes()
    rows = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

    assert Files(folder / "images", ["a/0.png"]).open(0)[1] == hashlib.sha256(data).digest()
    assert Encoded([data], "").open(0)[1] == hashlib.sha256(data).digest()
    assert Pixels(rows).open(1)[1] == hashlib.sha256(bytes(range(12, 24))).digest()


PREPARED_OTHERWISE = [
    ("image.size=32",),
    ("image.size=48",),
    ("image.size=48", "image.fit=pad", "image.background=[0, 9, 200]"),
    ("image.fit=stretch", "image.color=grey"),
    ("data.cache=false",),
]


@pytest.mark.parametrize("settings", PREPARED_OTHERWISE)
def test_the_splits_of_files_are_the_same_however_images_are_prepared(folder: Path, settings: tuple[str, ...]) -> None:
    assert positions(make(folder, *settings)) == positions(make(folder))


def test_the_splits_of_arrays_are_the_same_however_images_are_prepared_and_stored(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (60, 20, 30, 3), np.uint8), np.arange(60) % 2
    images[0] = 255  # so that the scale of floats can be told
    np.savez(tmp_path / "bytes.npz", images=images, labels=labels)
    np.savez(tmp_path / "floats.npz", images=images / 255, labels=labels)
    archives = [f"data.source={tmp_path / name}" for name in ("bytes.npz", "floats.npz")]
    made = [make(tmp_path, archive, f"image.size={size}") for archive in archives for size in (8, 32, 48)]

    assert all(positions(other) == positions(made[0]) for other in made)


def test_a_picture_in_two_formats_is_in_one_split(folder: Path) -> None:
    for i in range(20):
        Image.open(folder / "images" / "a" / f"{i}.png").save(folder / "images" / "a" / f"copy{i}.bmp")
    made = make(folder)
    names = sorted(path.name for path in (folder / "images" / "a").iterdir())

    split_of = {names[i]: split for split, found in positions(made).items() for i in found if i < len(names)}
    assert [split_of[f"{i}.png"] for i in range(20)] == [split_of[f"copy{i}.bmp"] for i in range(20)]
    assert "20 images are copies of another" in warnings(json.loads((made.folder / "data.json").read_bytes()))


def test_stored_and_decoded_images_are_the_same_in_any_order(folder: Path) -> None:
    stored, decoded = make(folder), make(folder, "data.cache=false")

    assert (stored.folder / STORED).exists()
    assert not (stored.folder / LISTED).exists()
    assert not (decoded.folder / STORED).exists()
    for split in ("train", "validation", "test"):
        one, other = images_of(stored, split), images_of(decoded, split)
        assert one.shape == other.shape == (stored.sizes[split], 8, 8, 3)
        some = np.array([3, 0, 3, 1])
        np.testing.assert_array_equal(one[some], other[some])
        np.testing.assert_array_equal(one[1:4], other[1:4])
        np.testing.assert_array_equal(np.concatenate(list(in_batches(other, 4))), one[:])


def test_the_same_files_in_a_folder_and_a_table_or_rows_in_npz_and_idx_give_the_same_splits(folder: Path) -> None:
    whole = make(folder)
    images = np.load(whole.folder / STORED)
    names = sorted((folder / "images").rglob("*.png"), key=lambda path: os.fsencode(path))
    labels = np.array([path.parent.name == "b" for path in names], np.uint8)
    order = np.random.default_rng(1).permutation(60)
    np.savez(folder / "images.npz", images=images[order], labels=np.array(["a", "b"])[labels[order]])
    rows = [f"images/{names[i].parent.name}/{names[i].name},{names[i].parent.name}" for i in order]
    (folder / "table.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (folder / "idx").mkdir()
    header = bytes([0, 0, 8, 4]) + b"".join(n.to_bytes(4, "big") for n in images.shape)
    (folder / "idx" / "train-images-idx4-ubyte").write_bytes(header + images[order].tobytes())
    header = bytes([0, 0, 8, 1]) + (60).to_bytes(4, "big")
    (folder / "idx" / "train-labels-idx1-ubyte").write_bytes(header + labels[order].tobytes())

    archive, table, idx = (make(folder, f"data.source={folder / name}") for name in ("images.npz", "table.csv", "idx"))
    for one, other in ((whole, table), (archive, idx)):
        for split in ("train", "validation", "test"):
            np.testing.assert_array_equal(images_of(other, split)[:], images_of(one, split)[:])
            np.testing.assert_array_equal(other.labels(split), one.labels(split))


def test_colour_is_what_the_images_have_or_what_is_asked_for(folder: Path) -> None:
    assert make(folder).image_shape == (8, 8, 3)
    assert make(folder, "image.color=grey").image_shape == (8, 8, 1)
    for path in (folder / "images").rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert make(folder).image_shape == (8, 8, 1)
    assert make(folder, "image.color=rgb").image_shape == (8, 8, 3)


def test_an_image_with_colour_among_grey_ones_moves_none_of_them(folder: Path) -> None:
    def split_of(dataset: Dataset) -> dict[str, str]:
        names = sorted(path.as_posix() for path in (folder / "images").rglob("*.png"))
        splits = ("train", "validation", "test")
        return {names[i]: split for split in splits for i in np.load(dataset.folder / f"{split}.npy")}

    for path in (folder / "images").rglob("*.png"):
        Image.open(path).convert("L").save(path)
    before = split_of(make(folder))
    Image.new("RGB", (9, 9), (255, 0, 0)).save(folder / "images" / "a" / "red.png")
    after = split_of(make(folder))

    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_dark_images_are_a_warning_whatever_is_put_around_them(fit: str, folder: Path) -> None:
    random = np.random.default_rng(1)
    for i, path in enumerate(sorted((folder / "images").rglob("*.png"))):
        pixels = random.integers(0, 4096, (20, 30 + i), np.uint16)  # 12 bits in 16
        pixels[:, 10:20] = 3700
        Image.fromarray(pixels).save(path)

    description = json.loads((make(folder, f"image.fit={fit}").folder / "data.json").read_bytes())

    assert description["brightest"]["train"] in range(8, 16)
    assert warnings(description)[0].startswith("the brightest pixel of all images is 1")


def test_dark_squares_are_a_warning_beside_the_bars_of_a_rectangle(folder: Path) -> None:
    for i, path in enumerate(sorted((folder / "images").rglob("*.png"))):
        Image.fromarray(np.random.default_rng(i).integers(0, 15, (20, 20), np.uint8)).save(path)

    made = make(folder, "image.fit=pad", "image.size=[8, 24]")

    assert json.loads((made.folder / "data.json").read_bytes())["brightest"]["train"] in (13, 14)


def test_images_may_be_rectangles_and_what_is_cut_away_is_said(folder: Path) -> None:
    notes: list[str] = []
    for path in (folder / "images").rglob("*.png"):
        Image.open(path).resize((64, 16)).save(path)
    stored = make(folder, "image.size=[8, 24]", notes=notes)
    decoded = make(folder, "image.size=[8, 24]", "data.cache=false")

    assert stored.image_shape == (8, 24, 3)
    assert stored.preparation["size"] == [8, 24]
    images, other = images_of(stored, "train")[:], images_of(decoded, "train")[:]
    assert images.shape == (stored.sizes["train"], 8, 24, 3)
    np.testing.assert_array_equal(images, other)
    line = (
        "images are 4 times as wide as high at the median; image.fit = crop at image.size = [8, 24] cuts away 25 % of "
        "an image: set image.size = [8, 32] or image.fit = pad"
    )
    assert notes == [f"data: {line}"]
    assert "what the network sees: 24x8, RGB, crop" in data_facts(stored)
    make(folder, "image.size=[8, 32]", notes=notes)
    assert len(notes) == 1


def test_the_contact_sheet_shows_images_in_their_own_proportions(folder: Path) -> None:
    for size, shown in (("[8, 512]", (256, 4)), ("[16, 32]", (64, 32)), ("300", (256, 256))):
        sheet = contact_sheet(make(folder, f"image.size={size}"), Augmentation(), 0)

        assert sheet.size == (120 + 13 * (shown[0] + 4), 3 * max(20, shown[1] + 4))


def test_few_large_images_are_read_at_once_and_many_small_ones() -> None:
    assert at_once((32, 32, 3), 128) == 128
    assert at_once((224, 224, 3), 128) == 27
    assert at_once((2048, 2048, 3), 128) == 1


def test_groups_are_taken_from_the_file_names(folder: Path) -> None:
    dataset = make(folder, "data.group=^(.)")  # the first digit of a name

    paths = sorted(path.relative_to(folder / "images").as_posix() for path in (folder / "images").rglob("*.png"))
    splits = {
        split: {Path(paths[i]).name[0] for i in np.load(dataset.folder / f"{split}.npy")}
        for split in ("train", "validation", "test")
    }
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    assert not splits["validation"] & splits["test"]


def test_a_group_in_two_given_splits_is_counted(folder: Path) -> None:
    for split, names in (("train", range(20)), ("test", range(18, 30))):
        for label in ("a", "b"):
            (folder / "given" / split / label).mkdir(parents=True)
            for i in names:
                shutil.copy(folder / "images" / label / f"{i}.png", folder / "given" / split / label)
    dataset = make(folder, f"data.source={folder / 'given'}", "data.group=^[0-9]+")

    description = json.loads((dataset.folder / "data.json").read_bytes())
    # both are in given train and test; one of them is among what was taken from train for validation
    assert description["group_leaks"]["train/test"] == {"count": 1, "examples": ["19"]}
    assert description["group_leaks"]["validation/test"] == {"count": 1, "examples": ["18"]}
    assert "1 group is in both train and test, such as 19" in warnings(description)


@pytest.mark.parametrize("spelling", ["images/", "./images", "{}"])
def test_the_same_folder_spelt_otherwise_is_the_same_data(
    spelling: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    spellings = ("images", spelling.format(folder / "images"))
    one, other = (load(options={"": {"data": {"source": name}}}).data for name in spellings)  # type: ignore[attr-defined]

    assert one.key_settings() == other.key_settings()
    assert data.fingerprint(one, folder / "memo") == data.fingerprint(other, folder / "memo")


@pytest.mark.parametrize(
    ("spec", "name"),
    [("tfds:mnist:3.0.1", "tfds-mnist-3.0.1"), ("Блюда", "Блюда"), ("a b.v2", "a-b.v2"), ("Cafe\u0301", "Caf\xe9")],
)
def test_data_is_called_by_its_source(spec: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if not spec.startswith("tfds:"):
        (tmp_path / spec).mkdir()

    assert load(options={"": {"data": {"source": spec}}}).data.name == name  # type: ignore[attr-defined]


def test_data_json_counts_what_is_there(folder: Path) -> None:
    Image.open(folder / "images" / "a" / "0.png").save(folder / "images" / "a" / "copy.bmp")
    description = json.loads((make(folder).folder / "data.json").read_bytes())

    assert description["images"] == 61
    assert sum(description["classes"]["a"].values()) == 31
    assert description["kinds"] == {"PNG RGB": 60, "BMP RGB": 1}
    assert description["duplicates"] == {"count": 1, "images": 1, "examples": [["a/0.png", "a/copy.bmp"]]}
    assert all(leak["count"] == 0 for leak in description["leaks"].values())


def test_processes_read_what_this_process_would_and_tell_what_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = make(folder)
    monkeypatch.setattr("compress.data.workers.MIN_IMAGES", 1)
    shared = make(folder, "data.cache=false")

    images = images_of(shared, "train")
    np.testing.assert_array_equal(images[:], images_of(alone, "train")[:])
    np.testing.assert_array_equal(np.load(shared.folder / "train.npy"), np.load(alone.folder / "train.npy"))
    for path in (folder / "images").rglob("*.png"):
        path.unlink()
    with pytest.raises(BadInputError, match="it was there when the run began"):
        images[:3]


def end_at_once(state: None, item: None) -> None:
    os._exit(9)


def test_a_process_that_was_killed_is_said_in_one_line() -> None:
    workers = Workers(None, 10**6)
    first = workers.submit(end_at_once, None)

    with pytest.raises(MachineError, match="a process that decodes images was killed"):
        result_of(first)
    with pytest.raises(MachineError, match="a process that decodes images was killed"):
        workers.submit(end_at_once, None)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_processes_end_with_the_one_that_started_them_even_if_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nfrom compress.data.workers import Workers\n"
        "def pid(state, item): return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    print(Workers(None, 10**6).submit(pid, None).result(), flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, str(program)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert parent.stdout
    worker = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate()

    worker.wait(timeout=20)
