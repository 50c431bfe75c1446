from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from compress import downloads, pretrained
from compress.downloads import fetched, out_of_reach
from compress.errors import MachineError
from compress.tensorflow import keras
from teachers import vgg16


def folder(path: Path, name: str, content: bytes) -> Path:
    path.mkdir()
    (path / name).write_bytes(content)
    return path


def test_two_downloads_of_one_file_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = folder(tmp_path / "origin", "good.bin", b"data")
    get_file: Any = keras.utils.get_file

    def download() -> list[Path]:
        return fetched({"good.bin": "8d777f385d3dfec8815d20f7496026dc"}, f"{origin.as_uri()}/", tmp_path / "here")

    def with_another_meanwhile(*arguments: Any, **options: Any) -> None:
        get_file(*arguments, **options)
        assert not (tmp_path / "here" / "good.bin").exists()
        monkeypatch.setattr(keras.utils, "get_file", get_file)
        download()

    monkeypatch.setattr(keras.utils, "get_file", with_another_meanwhile)
    [file] = download()

    assert file.read_bytes() == b"data"
    assert list(file.parent.iterdir()) == [file]


def test_a_download_with_another_digest_is_refused(tmp_path: Path) -> None:
    origin = folder(tmp_path / "origin", "bad.bin", b"other")

    with pytest.raises(MachineError, match=r"bad\.bin: cannot be downloaded: .* hash does not match"):
        fetched({"bad.bin": "8d777f385d3dfec8815d20f7496026dc"}, f"{origin.as_uri()}/", tmp_path / "here")

    assert not (tmp_path / "here" / "bad.bin").exists()


def test_what_can_be_downloaded_is_asked_for_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = folder(tmp_path / "origin", "good.bin", b"data")
    assert out_of_reach(f"{origin.as_uri()}/good.bin", 60) == ""
    assert "No such file" in out_of_reach(f"{origin.as_uri()}/none.bin", 60)
    monkeypatch.setattr(downloads, "_asked", lambda url, seconds: str(Event().wait()))
    assert out_of_reach("https://example.org", 0.01) == "no answer within 0.01 s"


def test_published_weights_are_there_can_be_had_or_it_is_said_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "out_of_reach", lambda url, seconds: "refused")
    file = tmp_path / "models" / vgg16.IMAGENET["file"]
    assert pretrained.why_not(vgg16) == f"{file} is not there, and cannot be downloaded: refused"
    file.parent.mkdir()
    file.touch()
    assert pretrained.why_not(vgg16) == ""
    file.unlink()
    monkeypatch.setattr(downloads, "out_of_reach", lambda url, seconds: "")
    assert pretrained.why_not(vgg16) == ""
