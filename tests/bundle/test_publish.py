from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.artifacts import Bundle
from compress.bundle.publish import publish
from compress.errors import BadInputError
from compress.files import list_files


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "manifest.json").write_text(json.dumps({"files": list_files(folder)}))
    return Bundle("name", "student-fp32", folder)


def test_a_bundle_is_published_under_its_name(bundle: Bundle, tmp_path: Path) -> None:
    target = publish(bundle, tmp_path / "exported")

    assert target == tmp_path / "exported" / "name"
    assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "model.onnx"]


def test_a_whole_bundle_is_left_alone(bundle: Bundle, tmp_path: Path) -> None:
    before = (publish(bundle, tmp_path) / "model.onnx").stat()

    assert (publish(bundle, tmp_path) / "model.onnx").stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_damaged_bundle_is_made_whole(bundle: Bundle, tmp_path: Path, name: str) -> None:
    target = publish(bundle, tmp_path)
    (target / name).write_bytes(b"damaged")

    publish(bundle, tmp_path)

    assert (target / "model.onnx").read_bytes() == b"model"
    assert [path.name for path in tmp_path.glob(".name*")] == []


def test_an_older_bundle_gives_way(bundle: Bundle, tmp_path: Path) -> None:
    target = publish(bundle, tmp_path)
    (target / "stray.txt").write_text("of an older version")
    (target / "manifest.json").write_text(json.dumps({"files": list_files(target)}))
    renew(bundle)

    publish(bundle, tmp_path)

    assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "model.onnx"]
    assert (target / "model.onnx").read_bytes() == b"newer"


def renew(bundle: Bundle, *more: str) -> None:
    for name in ("model.onnx", *more):
        (bundle.folder / name).write_bytes(b"newer")
    (bundle.folder / "manifest.json").write_text(json.dumps({"files": list_files(bundle.folder)}))


@pytest.mark.parametrize("manifest", ["whole", "damaged"])
def test_a_users_own_files_stay_when_a_newer_bundle_takes_the_place(
    manifest: str, bundle: Bundle, tmp_path: Path
) -> None:
    target = publish(bundle, tmp_path)
    (target / "notes" / "empty").mkdir(parents=True)
    (target / "notes" / "mine.txt").write_text("mine")
    (target / "link").symlink_to("nowhere")
    if manifest == "damaged":
        (target / "manifest.json").write_text("{")
    renew(bundle)

    publish(bundle, tmp_path)

    assert (target / "model.onnx").read_bytes() == b"newer"
    assert (target / "notes" / "mine.txt").read_text() == "mine"
    assert (target / "notes" / "empty").is_dir()
    assert (target / "link").readlink() == Path("nowhere")


def test_a_users_own_file_is_never_overwritten_by_a_new_file_of_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    target = publish(bundle, tmp_path)
    (target / "report.json").write_text("mine")
    renew(bundle, "report.json")

    with pytest.raises(BadInputError, match="is not of the bundle and would be overwritten"):
        publish(bundle, tmp_path)

    assert (target / "report.json").read_text() == "mine"
    assert (target / "model.onnx").read_bytes() == b"model"


def test_a_users_own_file_beside_a_whole_bundle_stays(bundle: Bundle, tmp_path: Path) -> None:
    target = publish(bundle, tmp_path)
    (target / "mine.py").write_text("mine")

    publish(bundle, tmp_path)

    assert (target / "mine.py").read_text() == "mine"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_bundle_is_never_replaced(bundle: Bundle, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "name"
    photo = target / "photo.jpg" if kind == "folder" else target
    photo.parent.mkdir(exist_ok=True)
    photo.write_bytes(b"mine")

    with pytest.raises(BadInputError, match="is not a bundle"):
        publish(bundle, tmp_path)

    assert photo.read_bytes() == b"mine"
