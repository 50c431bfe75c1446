from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import compress
from compress.arrays import save_arrays
from compress.bundle.evaluate import evaluate
from compress.data.sources import digits, npz
from compress.data.spec import Source
from compress.errors import BadInputError
from compress.report.file import read
from tests.conftest import Run, run_main


@pytest.fixture
def tested(tiny_run: Run, tmp_path: Path) -> Path:
    """The images that the run tested on, as an .npz of two splits, the first one of noise."""
    [data] = (tiny_run.folder / ".compress" / "store" / "data").iterdir()
    images, labels = np.load(data / "images.npy")[np.load(data / "test.npy")], np.load(data / "test_labels.npy")
    noise = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    np.savez(tmp_path / "images.npz", x_train=noise, y_train=labels, x_test=images, y_test=labels)
    return tmp_path / "images.npz"


def test_evaluating_on_the_test_split_gives_the_reports_figures(tiny_run: Run, tested: Path) -> None:
    deployed = read(tiny_run.bundle / "report.json").deployed_model.test

    metrics = evaluate(compress.load(tiny_run.bundle), npz.load(str(tested), ""), "images.npz")

    for name in ("n", "accuracy", "accuracy_ci95", "f1", "confusion"):
        assert getattr(metrics, name) == getattr(deployed, name)
    assert metrics.log_loss == pytest.approx(deployed.log_loss, abs=1e-4)


def test_evaluate_prints_a_table_or_json(
    tiny_run: Run, tested: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(tiny_run.bundle), "--data", str(tested)]

    assert run_main(monkeypatch, tested.parent, *arguments) == 0
    text = capsys.readouterr().out
    assert run_main(monkeypatch, tested.parent, *arguments, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)

    assert f"accuracy {metrics['accuracy']:.4f}" in text
    assert "macro F1" in text


@pytest.mark.parametrize("kind", ["names", "integers", "one-hot", "classes"])
def test_a_class_without_images_has_no_scores(
    kind: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    integers = np.array([0, 1, 2, 4, 5, 5])
    forms = {"names": integers.astype(str), "one-hot": np.eye(10)[integers]}
    arrays = {"images": np.full((6, 8, 8), 255, np.uint8), "labels": forms.get(kind, integers)}
    if kind == "classes":
        arrays["classes"] = np.array(list("0123456789x"))  # x has no image either
    save_arrays(tmp_path / "some.npz", arrays)

    assert run_main(monkeypatch, tmp_path, "evaluate", str(tiny_run.bundle), "--data", "some.npz") == 0

    said = capsys.readouterr()
    assert [line.split() for line in said.out.splitlines() if line.split()[:1] == ["3"]] == [["3", "0", *"----"]]
    assert said.err == ""


@pytest.mark.parametrize("renamed", [False, True])
def test_the_bundles_own_data_are_not_evaluated_without_a_warning(
    renamed: bool, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = "digits"
    if renamed:
        samples = digits.load("digits", "")
        images = np.stack([np.asarray(samples.images.open(i)[0]) for i in range(len(samples.images))])
        np.savez(tmp_path / "copy.npz", images=images, labels=samples.labels)
        data = "copy.npz"

    assert run_main(monkeypatch, tmp_path, "evaluate", str(tiny_run.bundle), "--data", data, "--json") == 0

    said = capsys.readouterr()
    json.loads(said.out)
    assert said.err.startswith(f"warning: {data}: digits was made from these data, and its training images are counted")
    assert said.err.count("\n") == 1


class Stub:
    """A classifier that calls every image the first class."""

    name, labels = "stub", ("a", "b", "c")
    preparation: Any = {"size": 8, "fit": "crop", "channels": 3, "background": [255, 255, 255]}  # noqa: RUF012

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pixels, np.tile([0.8, 0.1, 0.1], (len(pixels), 1))


def folder_of_tests(folder: Path) -> str:
    for name in ("a", "b"):
        (folder / "images" / "test" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / "images" / "test" / name / "1.png")
    return str(folder / "images")


def arrays_of_tests(folder: Path) -> str:
    np.savez(folder / "images.npz", x_test=np.zeros((2, 9, 9, 3), np.uint8), y_test=np.array(["a", "b"]))
    return str(folder / "images.npz")


def table_of_tests(folder: Path) -> str:
    folder_of_tests(folder)
    (folder / "table.csv").write_text("path,label,split\nimages/test/a/1.png,a,test\nimages/test/b/1.png,b,test\n")
    return str(folder / "table.csv")


@pytest.mark.parametrize("write", [folder_of_tests, arrays_of_tests, table_of_tests])
def test_a_test_split_alone_is_evaluated_but_not_trained_on(
    write: Callable[[Path], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = write(tmp_path)

    metrics = evaluate(Stub(), Source.find(spec).load(spec, ""), spec)  # type: ignore[arg-type]

    assert (metrics.n, metrics.accuracy) == (2, 0.5)
    assert run_main(monkeypatch, tmp_path, "data", spec) == 2
    assert capsys.readouterr().err == f"error: {spec}: has test, but no train; should have images to train on\n"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another class": ({"labels": np.array(["1", "cat"])}, "has a class 'cat'; digits knows '0', '1'"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_does_not_fit_is_refused(name: str, tiny_run: Run, tmp_path: Path) -> None:
    arrays, expected = BAD[name]
    np.savez(tmp_path / "bad.npz", images=np.zeros((2, 8, 8), np.uint8), **arrays)

    with pytest.raises(BadInputError) as error:
        evaluate(compress.load(tiny_run.bundle), npz.load(str(tmp_path / "bad.npz"), ""), "bad.npz")
    assert expected in str(error.value)


def test_data_that_is_not_there_is_refused(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path, "evaluate", str(tiny_run.bundle), "--data", "digitz") == 2
    assert "did you mean digits?" in capsys.readouterr().err
