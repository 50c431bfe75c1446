from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from compress import files
from compress.files import put_in_place

TIMES = 300


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "manifest.json").write_text(text)
    return path


def missed(target: Path, work: Callable[[], None]) -> int:
    """Return how often a reader that looks all the time, while `work` is done, finds no manifest."""
    misses, looks, done = 0, 0, threading.Event()

    def look() -> None:
        nonlocal misses, looks
        while not done.is_set():
            looks += 1
            try:
                (target / "manifest.json").read_bytes()
            except FileNotFoundError:
                misses += 1

    reader = threading.Thread(target=look)
    reader.start()
    work()
    done.set()
    reader.join()
    assert looks > TIMES
    return misses


def replace_many_times(target: Path) -> None:
    for i in range(TIMES):
        put_in_place(folder(target.with_name(".new"), str(i)), target)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can exchange two folders")
def test_a_reader_finds_the_old_folder_or_the_new_one_at_any_moment(tmp_path: Path) -> None:
    target = folder(tmp_path / "name", "first")

    assert missed(target, lambda: replace_many_times(target)) == 0

    assert (target / "manifest.json").read_text() == str(TIMES - 1)
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_takes_the_place_of_another_and_nothing_is_left(
    exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    target = tmp_path / "name"
    folder(tmp_path / ".name.old", "of a call that was killed")
    for text in ("first", "second", "third"):
        put_in_place(folder(tmp_path / ".new", text), target)
        assert (target / "manifest.json").read_text() == text

    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize("leads_to", ["elsewhere", "nowhere"])
def test_a_link_gives_way_and_what_it_leads_to_stays(leads_to: str, tmp_path: Path) -> None:
    elsewhere = folder(tmp_path / "elsewhere", "somebody's")
    (tmp_path / "name").symlink_to(tmp_path / leads_to)

    put_in_place(folder(tmp_path / ".new", "new"), tmp_path / "name")

    assert (tmp_path / "name" / "manifest.json").read_text() == "new"
    assert (elsewhere / "manifest.json").read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "name"]
