from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from compress.memo import recalled, remember


@dataclass(frozen=True)
class Cost:
    name: str
    seconds: tuple[float, ...]


KIND = dict[str, Cost]
KNOWN = {"a": Cost("one", (0.1, 1e-9)), "b": Cost("two", ())}


def test_what_is_remembered_is_recalled_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "workspace" / "memo.json"
    remember(file, KIND, KNOWN)
    assert recalled(file, KIND) == KNOWN

    remember(file, KIND, {})
    assert recalled(file, KIND) == {}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"null", b'{"a": {"name": "one"}}', b"\xff"])
def test_a_file_that_cannot_be_read_holds_nothing(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "memo.json").write_bytes(content)

    assert recalled(tmp_path / "memo.json", KIND) == {}


def test_a_name_that_utf8_cannot_encode_spoils_nothing_else(tmp_path: Path) -> None:
    remember(tmp_path / "memo.json", KIND, {"caf\udce9": Cost("of a file in Latin-1", ()), **KNOWN})

    assert recalled(tmp_path / "memo.json", KIND).items() >= KNOWN.items()


def test_where_nothing_can_be_written_the_caller_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        remember(tmp_path / "file" / "memo.json", KIND, KNOWN)
