"""Names in tables and arrays: types, spaces and forms of Unicode."""

from __future__ import annotations

import datetime
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.bundle.classifier import Classifier
from compress.bundle.evaluate import evaluate
from compress.data.names import canonical
from compress.data.samples import Files, Pixels, Samples
from compress.data.sources import manifest, npz
from compress.errors import BadInputError

PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # with a joiner of no width
NFC, NFD = (unicodedata.normalize(form, "Crème") for form in ("NFC", "NFD"))
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8)


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Files for the tables to name; nothing here decodes them."""
    for name in ("1", "2", "3", "a", "b", "c d"):
        (tmp_path / f"{name}.png").write_bytes(b"")


def parquet(folder: Path, **columns: Any) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), folder / "table.parquet")
    return str(folder / "table.parquet")


def test_columns_and_values_of_a_table_are_stripped(tmp_path: Path) -> None:
    rows = ["path, label ,split\u00a0,who", f" a.png, cat ,Training Set,{NFD}", f"b.png ,cat, test ,{NFC}"]
    (tmp_path / "t.csv").write_text("\n".join([*rows, " c d.png,dog,TRAIN,x"]), encoding="utf-8")

    samples = manifest.load(str(tmp_path / "t.csv"), " who")

    assert isinstance(samples.images, Files)
    assert list(samples.images.paths) == ["a.png", "b.png", "c d.png"]
    assert samples.classes == ("cat", "dog")
    assert samples.splits == ["train", "test", "train"]
    assert samples.groups == [NFC, NFC, "x"]
    assert samples.notes == []


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([b"a", b"b", b"a"], ("a", "b")),
        ([NFC.encode(), NFD.encode(), b" b "], (NFC, "b")),
        ([3, 20, 3], ("3", "20")),
        ([3.0, 20.0, 3.0], ("3", "20")),
        ([True, False, True], ("False", "True")),
        ([PERSIAN, "👨\u200d👩\u200d👧", "a\u00a0b"], ("a\u00a0b", PERSIAN, "👨\u200d👩\u200d👧")),
    ],
)
def test_labels_of_parquet_name_their_classes(labels: list[Any], classes: tuple[str, ...], tmp_path: Path) -> None:
    samples = manifest.load(parquet(tmp_path, path=[b"1.png", b"2.png", b"3.png"], label=labels), "")

    assert samples.classes == classes
    assert isinstance(samples.images, Files)
    assert list(samples.images.paths) == ["1.png", "2.png", "3.png"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0.5, 1.0], "row 1: label = '0.5', a float; should be text or an integer"),
        ([["a"], ["b"]], "row 1: label = \"['a']\", a list; should be"),
        ([{"name": "a"}, {"name": "b"}], "a dict; should be"),
        ([datetime.date(2020, 1, 2)] * 2, "row 1: label = '2020-01-02', a date; should be"),
        (["a", None], "row 2 has no label"),
        ([1.0, float("nan")], "row 2 has no label"),
        (["a", " \ufeff"], "row 2 has no label"),
        ([b"a", b"\xff"], "a class named '\\xff'"),
        (["a", "b\u2028c"], "a class named 'b\\u2028c': class names should be"),
    ],
)
def test_what_is_no_name_in_parquet_is_refused(labels: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        manifest.load(parquet(tmp_path, path=["1.png", "2.png"], label=labels), "")

    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "table.parquet"))
    assert str(caught.value).isprintable()


def test_a_column_that_is_there_twice_but_for_spaces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label,label \na.png,a,b\n")

    with pytest.raises(BadInputError, match="the header names a column twice: path, label, label"):
        manifest.load(str(tmp_path / "t.csv"), "")
    with pytest.raises(BadInputError, match="names a column twice"):
        manifest.load(parquet(tmp_path, **{"path": ["a"], "label": ["a"], " label": ["b"]}), "")


def test_names_in_arrays_are_the_same_in_both_forms(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array([NFC, NFD, "b ", "b"]))
    np.savez(tmp_path / "b.npz", images=IMAGES, labels=[0, 1, 0, 1], classes=[f" {NFD}", PERSIAN])
    np.savez(tmp_path / "c.npz", images=IMAGES, labels=[0, 1, 0, 1], classes=[NFD, NFC])

    samples = npz.load(str(tmp_path / "a.npz"), "")
    assert samples.classes == (NFC, "b")
    assert samples.labels.tolist() == [0, 0, 1, 1]
    assert len(samples.notes) == 1
    assert npz.load(str(tmp_path / "b.npz"), "").classes == (NFC, PERSIAN)
    with pytest.raises(BadInputError, match="'Crème' is listed twice"):
        npz.load(str(tmp_path / "c.npz"), "")


class Always(SimpleNamespace):
    """A session that finds the first class in every image."""

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        probabilities = np.tile(np.array([0.75, 0.25], np.float32), (len(next(iter(inputs.values()))), 1))
        return [np.log(probabilities), probabilities]


def classifier(*labels: str) -> Classifier:
    preparation = {"size": 8, "fit": "crop", "channels": 1, "background": [255, 255, 255]}
    return Classifier("older", labels, preparation, (8, 8, 1), Always())


def test_evaluate_knows_a_class_in_any_form_and_says_what_is_odd() -> None:
    images = IMAGES // 32
    samples = Samples((NFC, "b"), np.array([0, 0, 1, 0]), Pixels(images), notes=("a line",))
    said: list[str] = []

    metrics = evaluate(classifier(NFD, " b"), samples, "images", said.append)

    assert metrics.accuracy == 0.75
    assert said[0] == "images: a line"
    assert said[1].startswith("images: the brightest pixel of all images is 7 of 255")


def test_evaluate_refuses_a_bundle_that_has_a_class_twice() -> None:
    samples = Samples((canonical(NFD),), np.array([0]), Pixels(IMAGES[:1]))

    with pytest.raises(BadInputError, match=r"^older: .* differ: 'Cre.u0300me' and 'Cr.xe8me'; should have each"):
        evaluate(classifier(NFD, NFC), samples, "images")
