"""Every hostile or odd input gives the pixels that it should, or is refused in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.hostile_rows import ROWS, SIZE, SMALL, Row, encoded, make_images, noise, red
from tests.conftest import run_main

NONE = ("--set", "recipe=none")  # which would try images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_images(tmp_path / "images")


@pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and such names are not made there")
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_an_input_is_accepted_with_its_pixels_or_refused_in_one_line(
    row: Row, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = row.build(images) or "images"
    data = [spec] if row.command == ("data",) else ["--data", spec]
    arguments = [*row.command, *data, "--set", f"image.size={SIZE}", *row.options]

    code = run_main(monkeypatch, images.parent, *arguments)

    printed = capsys.readouterr()
    if row.refused:
        assert code == 2
        assert row.refused in printed.err
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return
    assert code == 0, printed.err
    for words in row.says:
        assert words in printed.out
    if row.pixels is not None:
        [entry] = (images.parent / ".compress" / "store" / "data").iterdir()
        seen = np.load(entry / "images.npy")[0]
        np.testing.assert_allclose(seen.astype(int), row.pixels.astype(int), rtol=0, atol=row.atol)


def test_parquet_that_pyarrow_does_not_know_is_refused_in_one_line(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")

    def read(spec: str) -> None:
        raise NotImplementedError("no such encoding\nat byte 1")

    monkeypatch.setattr(parquet, "read_table", read)
    (images / "table.parquet").write_bytes(b"PAR1")

    assert run_main(monkeypatch, images.parent, "data", "images/table.parquet") == 2
    said = capsys.readouterr().err
    assert said == "error: images/table.parquet: cannot be read as a table: no such encoding\n"


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_removed_or_replaced_in_mid_run_ends_it_with_one_line(
    change: str, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from compress.stages import teacher

    fit_teacher = teacher.fit_teacher

    def change_and_train(*arguments: Any) -> Any:
        for path in list(images.rglob("*.png")):
            path.unlink() if change == "removed" else path.write_bytes(encoded(red()))
        return fit_teacher(*arguments)

    monkeypatch.setattr(teacher, "fit_teacher", change_and_train)

    code = run_main(monkeypatch, images.parent, "teacher", "--data", "images", "--set", "data.cache=false", *SMALL)

    message = capsys.readouterr().err
    assert code == 2
    assert message.count("\n") == 1
    expected = "it was there when the run began" if change == "removed" else "has changed since the run began"
    assert expected in message


def test_bad_files_are_named_and_counted(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(12):
        (images / "a" / f"bad{i:02}.png").write_bytes(b"")

    assert run_main(monkeypatch, images.parent, "data", "images") == 2
    message = capsys.readouterr().err
    assert "12 of 32 images cannot be read" in message
    assert message.count("is empty") == 10
    assert message.endswith("; ...: mend or remove them\n")  # --skip-bad would not help

    assert run_main(monkeypatch, images.parent, "data", "images", "--skip-bad") == 2
    assert "--skip-bad leaves out 1% at most" in capsys.readouterr().err


def test_skip_bad_leaves_out_one_in_a_hundred_and_lists_it(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(80):
        noise(500 + i).save(images / "b" / f"more{i}.png")
    (images / "a" / "bad.png").write_bytes(b"no image")

    assert run_main(monkeypatch, images.parent, "data", "images", *NONE) == 2
    assert "mend or remove them, or leave them out with --skip-bad" in capsys.readouterr().err
    assert run_main(monkeypatch, images.parent, "data", "images", "--skip-bad", *NONE) == 0

    assert "1 unreadable image is left out" in capsys.readouterr().out
    report = json.loads((images.parent / ".compress" / "inspection" / "images" / "data.json").read_bytes())
    assert report["images"] == 100
    assert [bad["name"] for bad in report["left_out"]] == ["a/bad.png"]
    assert sum(report["splits"].values()) == 100
