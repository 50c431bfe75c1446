from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from compress import plugins
from compress.errors import BadInputError
from compress.files import list_files
from compress.packaging.package import FORMATS, RECORD, package
from tests.conftest import Run, run_main


@pytest.fixture
def bundle(tiny_run: Run, tmp_path: Path) -> Path:
    """A bundle of one's own, in a folder of its own."""
    return Path(shutil.copytree(tiny_run.bundle, tmp_path / "exported" / "digits"))


@pytest.mark.parametrize("format", plugins.names(FORMATS))
def test_a_layout_is_written_beside_the_bundle_and_again_in_its_place(
    format: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []
    for _ in range(2):
        assert run_main(monkeypatch, bundle, "package", ".", "--format", format) == 0
        assert capsys.readouterr().out.strip().endswith(f"digits-{format}{os.sep}")
        written.append(list_files(bundle.with_name(f"digits-{format}")))

    assert written[0] == written[1]
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["digits", f"digits-{format}"]


def test_the_command_offers_the_formats_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path, "package", ".", "--format", "zip") == 2

    assert set(re.findall(r"'(\w+)'", capsys.readouterr().err)) == {"zip", *plugins.names(FORMATS)}


def test_the_record_says_what_was_written_from_what(bundle: Path, tmp_path: Path) -> None:
    out = package(bundle, "triton", tmp_path / "new" / "repository")

    record = json.loads((out / RECORD).read_bytes())
    assert (record["format"], record["bundle"]) == ("triton", "digits")
    assert set(record["files"]) == {"digits/1/model.onnx", "digits/config.pbtxt", "digits/labels.txt"}


def somebodys(out: Path) -> None:
    out.mkdir()
    (out / "photo.jpg").write_bytes(b"mine")


def empty(out: Path) -> None:
    out.mkdir()


def a_file(out: Path) -> None:
    out.write_bytes(b"mine")


def edited(out: Path) -> None:
    (out / "digits" / "config.pbtxt").write_text("mine")


def added(out: Path) -> None:
    (out / ".git").mkdir()
    (out / ".git" / "HEAD").write_text("mine")


def a_link(out: Path) -> None:
    (out / "link").symlink_to("nowhere")


def an_empty_folder(out: Path) -> None:
    (out / "digits" / "2").mkdir()


def a_manifest(out: Path) -> None:
    (out / "manifest.json").write_text("mine")


def record_of_a_list(out: Path) -> None:
    (out / RECORD).write_text('{"files": []}')


def record_of_nothing(out: Path) -> None:
    (out / RECORD).write_text("[]")


@pytest.mark.parametrize(
    ("ours", "change", "expected"),
    [
        (False, somebodys, "is there already and was not written by this command"),
        (False, empty, "is there already and was not written by this command"),
        (False, a_file, "is there already and was not written by this command"),
        (True, edited, "digits/config.pbtxt in it was not written by this command"),
        (True, added, ".git/HEAD in it was not written by this command"),
        (True, a_link, "link in it was not written by this command"),
        (True, an_empty_folder, "digits/2 in it was not written by this command"),
        (True, a_manifest, "manifest.json in it was not written by this command"),
        (True, record_of_a_list, "digits/1/model.onnx in it was not written by this command"),
        (True, record_of_nothing, "is there already and was not written by this command"),
    ],
)
def test_a_folder_that_we_did_not_write_is_refused_and_left_alone(
    ours: bool, change: Callable[[Path], None], expected: str, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if ours:
        package(bundle, "triton", out)
    change(out)
    before = list_files(tmp_path)

    with pytest.raises(BadInputError) as error:
        package(bundle, "triton", out)

    assert expected in str(error.value)
    assert list_files(tmp_path) == before


def test_a_bundle_never_gives_way_to_its_own_layout(bundle: Path) -> None:
    with pytest.raises(BadInputError, match="was not written by this command"):
        package(bundle, "huggingface", bundle)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["exported/digits", "--format", "zip"], "--format"),
        (["exported/digits"], "--format"),
        (["exported", "--format", "triton"], "exported should be a bundle"),
        (["exported/digits", "--format", "triton", "--out", "exported/digits/labels.txt/x"], "cannot be written"),
        (["damaged", "--format", "triton"], "labels.txt: not as written"),
    ],
)
def test_bad_input_gives_one_line_and_nothing_is_written(
    arguments: list[str],
    expected: str,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "labels.txt").write_text("x\n")
    before = list_files(tmp_path)

    assert run_main(monkeypatch, tmp_path, "package", *arguments) == 2

    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert list_files(tmp_path) == before
