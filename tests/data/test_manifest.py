"""Tables in the dialects, encodings and words that programs write, and where the files they name are looked for."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from compress import config
from compress.data.samples import Files, Samples
from compress.data.sources import manifest
from compress.errors import BadInputError
from tests.conftest import run_main

ROWS = [["cats/1.png", "Katze"], ["dogs/2.png", "Bär"], ["cats/3.png", "Katze"], ["dogs/4.png", "Bär"]]
PATHS = [path for path, _ in ROWS]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """A folder with an image for each row."""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / path)
    return tmp_path


def lines(*header: str, rows: Any = ROWS, delimiter: str = ",", end: str = "\n") -> str:
    return end.join(delimiter.join(row) for row in [header or ("path", "label"), *rows]) + end


def loaded(folder: Path, text: str | bytes, name: str = "table.csv", group: str = "", root: str = "") -> Samples:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return manifest.load(str(folder / name), group, root)


def paths_of(samples: Samples) -> list[str]:
    assert isinstance(samples.images, Files)
    return list(samples.images.paths)


DIALECTS: dict[str, str] = {
    "comma": lines(),
    "semicolon": lines(delimiter=";"),
    "tab": lines(delimiter="\t"),
    "bar": lines(delimiter="|"),
    "a space after commas": lines(delimiter=", "),
    "carriage returns and line feeds": lines(end="\r\n"),
    "carriage returns alone": lines(end="\r"),
    "sep= of Excel": "sep=;\r\n" + lines(delimiter=";", end="\r\n"),
    "sep= in quotes": '"sep=|"\n' + lines(delimiter="|"),
    "sep= with a tab": "SEP=\t\n" + lines(delimiter="\t"),
    "another separator within values": lines("path", "label", "note", rows=[[*r, "a, b"] for r in ROWS], delimiter=";"),
    "quotes": "\n".join(f'"{a}","{b}"' for a, b in [("path", "label"), *ROWS]),
    "a line break in quotes": '"path",note,label\n' + "".join(f'{a},"of\ntwo",{b}\n' for a, b in ROWS),
    "comments and blank lines": "# made by hand\n\n#,\n" + lines().replace("\n", "\n\n"),
    "rows that are empty": lines() + ",\n , \n",
    "a delimiter at each end": lines("path", "label", "", rows=[[*row, ""] for row in ROWS]),
    "a delimiter at the end of rows": lines(rows=[[*row, ""] for row in ROWS]),
    "pandas' index": lines("", "path", "label", rows=[[str(i), *row] for i, row in enumerate(ROWS)]),
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_a_table_is_read_in_its_dialect(text: str, folder: Path) -> None:
    samples = loaded(folder, text)

    assert paths_of(samples) == PATHS
    assert samples.classes == ("Bär", "Katze")
    assert samples.labels.tolist() == [1, 0, 1, 0]
    assert samples.notes == []
    assert len(manifest.fingerprint(str(folder / "table.csv"), folder / "memo")) == 64


def test_a_tsv_is_a_table_too(folder: Path) -> None:
    assert paths_of(loaded(folder, lines(delimiter="\t"), "table.TSV")) == PATHS
    assert manifest.claims("table.TSV")


@pytest.mark.parametrize(
    ("encoding", "mark", "note"),
    [
        ("utf-8", "", None),
        ("utf-8", "\ufeff", None),
        ("utf-16-le", "\ufeff", None),
        ("utf-16-be", "\ufeff", None),
        ("utf-16-le", "", "the table has no byte order mark, and is read as UTF-16"),
        ("utf-16-be", "", "the table has no byte order mark, and is read as UTF-16"),
        ("cp1252", "", "the table is not UTF-8, and is read as Windows-1252: does it say 'Bär'?"),
    ],
)
def test_a_table_is_read_in_its_encoding_and_a_guess_is_said(
    encoding: str, mark: str, note: str | None, folder: Path
) -> None:
    samples = loaded(folder, (mark + lines(delimiter=";")).encode(encoding))

    assert samples.classes == ("Bär", "Katze")
    assert samples.notes == ([note] if note else [])


HEADERS: dict[str, tuple[tuple[str, str], list[str]]] = {
    "ours in capitals": (("Path", "LABEL"), []),
    "with spaces around": (("  path ", " label"), []),
    "Hugging Face": (("file_name", "label"), ["column 'file_name' is taken for path"]),
    "Keras": (("filename", "class"), ["column 'filename' is taken for path", "column 'class' is taken for label"]),
    "Kaggle": (("Image Path", "Class Name"), ["column 'Image Path' is taken for path"]),
    "a file": (("file", "target"), ["column 'file' is taken for path", "column 'target' is taken for label"]),
}


@pytest.mark.parametrize(("header", "notes"), HEADERS.values(), ids=HEADERS)
def test_columns_may_have_the_names_that_others_give_them(
    header: tuple[str, str], notes: list[str], folder: Path
) -> None:
    samples = loaded(folder, lines(*header))

    assert paths_of(samples) == PATHS
    assert samples.labels.tolist() == [1, 0, 1, 0]
    assert samples.notes[: len(notes)] == notes


def test_path_and_label_are_meant_whatever_else_there_is(folder: Path) -> None:
    rows = [[*row, "x", "y"] for row in ROWS]

    samples = loaded(folder, lines("path", "label", "filename", "class", rows=rows))

    assert paths_of(samples) == PATHS
    assert samples.notes == []


@pytest.mark.parametrize("name", ["split", "Split", "usage", "data set"])
def test_a_column_of_splits_is_known_by_its_values(name: str, folder: Path) -> None:
    rows = [[*row, split] for row, split in zip(ROWS, ["Training", "val", "test", "TEST"], strict=True)]

    samples = loaded(folder, lines("path", "label", name, rows=rows))

    assert samples.splits == ["train", "validation", "test", "test"]
    assert samples.notes == ([] if name.lower() == "split" else [f"column {name!r} is taken for split"])


def test_a_column_with_other_values_is_none_of_splits(folder: Path) -> None:
    assert (
        loaded(
            folder,
            lines(
                "path",
                "label",
                "set",
                rows=[[*row, "train, mostly"] for row in ROWS[:0]] + [[*row, "a"] for row in ROWS],
            ),
        ).splits
        is None
    )


def test_the_column_that_groups_is_found_whatever_its_case(folder: Path) -> None:
    rows = [[*row, str(i // 2)] for i, row in enumerate(ROWS)]

    assert loaded(folder, lines("path", "label", "Patient ID", rows=rows), group="patient_id").groups == list("0011")


@pytest.mark.parametrize(("labels", "classes"), [("1.0 0.0 10.0 2.0", "0 1 2 10"), ("1,0 2,0 1,0 2,0", "1 2")])
def test_whole_numbers_with_decimals_are_numbers(labels: str, classes: str, folder: Path) -> None:
    samples = loaded(folder, lines(rows=zip(PATHS, labels.split(), strict=True), delimiter=";"))

    assert samples.classes == tuple(classes.split())
    assert samples.notes == [f"labels such as {labels.split()[0]} are taken for whole numbers"]


def test_a_label_that_is_no_whole_number_leaves_all_as_they_are(folder: Path) -> None:
    assert loaded(folder, lines(rows=zip(PATHS, ["1.0", "1.5", "1.0", "2"], strict=True))).classes == (
        "1.0",
        "1.5",
        "2",
    )


def test_backslashes_separate_folders_unless_a_name_has_them(folder: Path) -> None:
    Image.new("RGB", (4, 4)).save(folder / "a\\b.png")
    rows = [[path.replace("/", "\\"), label] for path, label in ROWS] + [["a\\b.png", "Bär"]]

    samples = loaded(folder, lines(rows=rows))

    assert paths_of(samples) == [*PATHS, "a\\b.png"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names have one form")
@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_a_path_is_found_in_either_form_of_unicode(on_disk: Any, in_table: Any, folder: Path) -> None:
    stored, written = (unicodedata.normalize(form, "Caf\u00e9/m\u00f6we.png") for form in (on_disk, in_table))
    (folder / stored).parent.mkdir()
    Image.new("RGB", (4, 4)).save(folder / stored)

    for spelt in (written, written.replace("/", "\\")):
        assert paths_of(loaded(folder, lines(rows=[*ROWS, [spelt, "x"]])))[-1] == stored


def test_paths_are_relative_to_the_table_or_to_the_root_that_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / "table.csv").write_text(lines())
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder.parent))

    with pytest.raises(BadInputError) as caught:
        manifest.load("tables/table.csv", "")
    assert str(caught.value) == (
        f"tables/table.csv: none of its 4 files is in {folder}/tables, such as cats/1.png; paths are relative to the "
        "table's folder, or to that of --set data.root=FOLDER; they are in the current folder: --set data.root=."
    )

    for root in (".", str(folder), f"~/{folder.name}"):
        settings: Any = config.load(assignments=["data.source=tables/table.csv", f"data.root={root}"]).data  # type: ignore[attr-defined]
        samples = settings.source.function(settings.source.name, "", **settings.rooted)
        assert samples.images.open(0)[0].size == (4, 4)
        digest = settings.source.module.fingerprint(settings.source.name, folder / "memo", **settings.rooted)
        assert digest == manifest.fingerprint("tables/table.csv", folder / "memo", ".")
        assert "root" not in settings.key_settings()
    with pytest.raises(
        BadInputError, match=r"none of its 4 files is in .*/cats, .*; paths are relative to data\.root;"
    ):
        manifest.load("tables/table.csv", "", "cats")


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["data.root=nowhere"], "data.root = 'nowhere': there is no such folder"),
        (["data.root=~nobody-9"], "data.root = '~nobody-9': there is no user 'nobody-9'"),
        (["data.root=."], "data: root = '.': digits is no table with paths in it; should be empty"),
    ],
)
def test_a_root_that_nothing_can_be_relative_to_is_refused(assignments: list[str], said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        config.load(assignments=assignments)

    assert said in str(caught.value)


BAD: dict[str, tuple[str | bytes, str]] = {
    "no header": (
        lines().partition("\n")[2],
        "has no header, but begins with cats/1.png, Katze; its first line should",
    ),
    "no path": (
        lines("photo", "label"),
        "path: there is no such column, only photo, label; should be path or filename,",
    ),
    "no label": (lines("path", "kind"), "label: there is no such column, only path, kind; should be label or class,"),
    "two paths": (lines("file_name", "image"), "has columns file_name and image; one of them should be named path"),
    "a column twice": (lines("path", "path "), "the header names a column twice: path, path"),
    "ids without endings": (lines(rows=[["cat1", "a"], ["dog2", "b"]]), "the names have no ending such as .jpg"),
    "a row too long": (lines() + "cats/1.png,Katze,x\n", "line 6 has 3 values, the header 2"),
    "a row too long, after a comment": ("# a\nsep\n" + lines() + "cats/1.png,Katze,x\n", "values, the header 1"),
    "no text": (b"path,label\ncats/1.png,\x81\n", "is neither UTF-8 nor Windows-1252; should be saved as UTF-8"),
    "UTF-16 cut short": (lines().encode("utf-16")[:-1], "cannot be read as a table: 'utf-16-le' codec can't decode"),
    "a spreadsheet": (b"PK\x03\x04", "table.csv: is packed; unpack it"),
    "a pointer of Git LFS": ("version https://git-lfs.github.com/spec/v1\n", "table.csv: is a Git LFS pointer"),
    "a Parquet file": (b"PAR1", "table.csv: is a Parquet file; should be named .parquet"),
    "JSON": ('[{"path": "cats/1.png"}]', "table.csv: is JSON; save its paths and labels as .csv"),
    "a page": ("<!doctype html>", "table.csv: is text; save its paths and labels as .csv"),
    "nothing": ("", "has no rows; should have a header with path and label"),
    "only a comment": ("# nothing", "has no rows"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_in_one_line_that_names_it(text: str | bytes, said: str, folder: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(folder, text)

    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{folder / 'table.csv'}: ")
    assert str(caught.value).isprintable()


def test_some_missing_files_are_named_with_the_folder_they_were_looked_for_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "table.csv").write_text(lines() + "gone.png,Katze\n")

    assert run_main(monkeypatch, folder, "data", "table.csv", "--set", "image.size=8") == 2

    said = capsys.readouterr().err
    assert f"table.csv: 1 of 5 images in {folder} cannot be read: gone.png No such file" in said
    assert said.count("\n") == 1
