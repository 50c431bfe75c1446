from __future__ import annotations

from pathlib import Path

import pytest

from compress.digests import file_digests


def test_digests_are_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in ("old", "changed", "gone")]
    for file in files[:2]:
        file.write_bytes(b"one")
    monkeypatch.setattr("compress.digests.YOUNG_NS", -1)
    memo = tmp_path / "folder" / "memo.json"
    first = file_digests(files, memo)
    files[1].write_bytes(b"two")
    hashed: list[Path] = []

    def sha256_file(path: Path) -> str:
        hashed.append(path)
        return "f" * 64

    monkeypatch.setattr("compress.digests.sha256_file", sha256_file)

    assert file_digests(files, memo)[:2] == [first[0], "f" * 64]
    assert hashed == [files[1]]
    assert "No such file" in first[2]


def test_a_file_that_is_young_is_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could change once more within the same tick of the file system's clock."""
    (tmp_path / "young").write_bytes(b"one")
    file_digests([tmp_path / "young"], tmp_path / "memo.json")
    monkeypatch.setattr("compress.digests.sha256_file", lambda path: "again")

    assert file_digests([tmp_path / "young"], tmp_path / "memo.json") == ["again"]


@pytest.mark.parametrize("memo", [b"{", b"[]", b'{"a": 1}', b'{"a": [[1], 2]}'])
def test_a_broken_memo_is_done_without(memo: bytes, tmp_path: Path) -> None:
    (tmp_path / "memo.json").write_bytes(memo)
    (tmp_path / "file").write_bytes(b"one")

    assert file_digests([tmp_path / "file"], tmp_path / "memo.json") == [
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    ]
