from __future__ import annotations

import pytest

from compress.data.leftovers import is_left_behind, sidecar_suffix

NETWORK = ["@eaDir", "#recycle", "#snapshot", "@Recycle", "a.jpg@SynoEAStream", ".@__thumb", ".Trash-1000"]
MACOS = ["__MACOSX", ".DS_Store", "._a.png", "Icon\r"]
WINDOWS = ["$RECYCLE.BIN", "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "FOUND.000"]
STREAMS = ["a.jpg:Zone.Identifier", "a.jpg\uf03aZone.Identifier", "a.png:SmartScreen"]
OTHERS = ["lost+found", ".git", "__pycache__", ".ipynb_checkpoints"]


@pytest.mark.parametrize("name", [*NETWORK, *MACOS, *WINDOWS, *STREAMS, *OTHERS])
def test_what_systems_leave_is_known(name: str) -> None:
    assert is_left_behind(name)


@pytest.mark.parametrize(
    "name", ["a.jpg", "lost", "found", "recycle", "icon", "#1", "$5", "@home", "a:b.png", "found.00"]
)
def test_what_people_name_is_not_taken_for_that(name: str) -> None:
    assert not is_left_behind(name)
    assert not sidecar_suffix(name)


def test_sidecars_are_told_by_their_endings() -> None:
    assert all(map(sidecar_suffix, ["a.XMP", "a.jpg.json", "a.txt", "labels.csv", "a.aae", "a.yml"]))
    assert not any(map(sidecar_suffix, ["a", "a.jpg", "a.heic", "a.mp4", "txt", "a.txt.png", "1.0"]))
