from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.store import Store

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one finished stage of two files."""
    store = Store(tmp_path)
    work = store.work_folder("stage", KEY, {})
    (work / "files" / "a.bin").write_bytes(b"0123456789")
    (work / "files" / "sub").mkdir()
    (work / "files" / "sub" / "b.bin").write_bytes(b"b")
    store.publish("stage", KEY, {"artifact": None, "key_parts": {"seed": 0}})
    return store


def flip_a_bit(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_published_entry_is_found_and_its_work_folder_gone(store: Store) -> None:
    entry, damage = store.find("stage", KEY)

    assert entry is not None
    assert damage == ""
    assert sorted(entry.manifest["files"]) == ["a.bin", "sub/b.bin"]
    assert list(store.unfinished.iterdir()) == []


def test_an_entry_that_was_never_made_is_a_miss_without_damage(store: Store) -> None:
    assert store.find("stage", "other") == (None, "")


@pytest.mark.parametrize("name", ["a.bin", "sub/b.bin"])
def test_a_flipped_bit_is_a_miss_that_names_the_file(store: Store, name: str) -> None:
    flip_a_bit(store.finished / "stage" / KEY / name, 0)

    entry, damage = store.find("stage", KEY)

    assert entry is None
    assert damage.endswith(f"{name} does not verify")


def test_every_flipped_byte_of_a_manifest_is_a_miss(store: Store) -> None:
    path = store.finished / "stage" / KEY / "manifest.json"
    for offset in range(len(path.read_bytes())):
        flip_a_bit(path, offset)
        assert store.find("stage", KEY)[0] is None, offset
        flip_a_bit(path, offset)
    assert store.find("stage", KEY)[0] is not None


def test_a_file_that_is_gone_is_a_miss(store: Store) -> None:
    (store.finished / "stage" / KEY / "a.bin").unlink()

    assert store.find("stage", KEY)[0] is None


def test_a_manifest_that_is_no_object_is_a_miss(store: Store) -> None:
    (store.finished / "stage" / KEY / "manifest.json").write_text(json.dumps([1]))

    assert store.find("stage", KEY)[0] is None


def test_publishing_again_replaces_what_does_not_verify(store: Store) -> None:
    flip_a_bit(store.finished / "stage" / KEY / "a.bin", 0)
    work = store.work_folder("stage", KEY, {})
    (work / "files" / "c.bin").write_bytes(b"c")

    store.publish("stage", KEY, {"artifact": None, "key_parts": {}})

    entry, _ = store.find("stage", KEY)
    assert entry is not None
    assert list(entry.manifest["files"]) == ["c.bin"]


def test_a_work_folder_keeps_its_checkpoint_and_drops_its_files(store: Store) -> None:
    work = store.work_folder("stage", "other", {"data": "a"})
    (work / "files" / "half").write_bytes(b"x")
    (work / "checkpoint" / "state").write_bytes(b"x")

    store.work_folder("stage", "other", {"data": "a"})

    assert {path.name for path in work.rglob("*") if path.is_file()} == {"state", "made_from.json"}


def test_a_work_folder_drops_the_checkpoint_of_other_inputs(store: Store) -> None:
    work = store.work_folder("stage", "other", {"data": "a"})
    (work / "checkpoint" / "state").write_bytes(b"x")

    store.work_folder("stage", "other", {"data": "b"})

    assert [path.name for path in work.rglob("*") if path.is_file()] == ["made_from.json"]


@pytest.mark.parametrize("damaged", [False, True])
def test_clean_keeps_the_checkpoint_of_a_kept_stage_that_is_being_made_again(store: Store, damaged: bool) -> None:
    """Because an input came out different, or because the finished result does not verify."""
    if damaged:
        flip_a_bit(store.finished / "stage" / KEY / "a.bin", 0)
    kept = store.work_folder("stage", KEY, {"input": "new"}) / "checkpoint" / "training.npz"
    other = store.work_folder("stage", "b" * 64, {}) / "checkpoint" / "training.npz"
    for file in (kept, other):
        file.write_bytes(b"state")

    freed = store.clean({("stage", KEY)})

    assert kept.read_bytes() == b"state"
    assert not other.exists()
    assert freed == len(b"state") + len(b"{}")
    assert (store.finished / "stage" / KEY).exists()
