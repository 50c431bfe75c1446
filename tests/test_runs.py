"""compress.run, and the notebook that shows it."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

import compress
from compress.arrays import load_arrays
from compress.errors import BadInputError, CompressError
from tests.conftest import REPOSITORY, TINY, Run

NOTEBOOK = REPOSITORY / "docs" / "notebook.ipynb"


@pytest.fixture
def folder(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that is finished."""
    monkeypatch.chdir(tiny_run.folder)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return tiny_run.folder


def test_a_run_is_that_of_the_command_and_its_bundle_an_object(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = compress.run("digits", config=TINY, settings={"deploy.max_drop": 0.5})

    printed = capsys.readouterr().out
    assert "11 stages, 11 of them finished before" in printed
    assert f"report: {Path('exported', 'digits', 'report.html')}" in printed
    assert bundle.folder == folder / "exported" / "digits"
    assert bundle.report.run.data == "digits"
    [prediction] = bundle.predict(golden(bundle.folder)[:1])
    assert prediction.label in bundle.report.run.classes
    assert bundle.report.deployed in bundle._repr_html_()


def golden(folder: Path) -> Any:
    return list(load_arrays(folder / "golden.npz")["images"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "nowhere"}, "nowhere"),
        ({"settings": {"teacher.epochs": 0}}, "teacher: epochs = 0"),
        ({"settings": {"teacher.epoch": 6}}, "teacher.epoch"),
        ({"preset": "none"}, "none"),
        ({"config": "missing.toml"}, r"missing\.toml"),
    ],
)
def test_what_is_given_wrongly_is_refused_as_by_the_command(
    given: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    with pytest.raises(BadInputError, match=message):
        compress.run(**given)


def test_a_run_that_fails_raises_what_it_said_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nprint('all is lost')\nsys.stdout.flush()\nimport os\nos._exit(4)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(REPOSITORY)]))

    with pytest.raises(CompressError, match="all is lost"):
        compress.run("digits")


def test_the_notebook_goes_from_images_to_a_served_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == []
        *statements, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(statements, []), NOTEBOOK.name, "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names))
        else:
            exec(compile(ast.Module([last], []), NOTEBOOK.name, "exec"), names)

    bundle, labels, (label, probability) = (value for value in shown if value is not None)
    assert "11 stages, 11 of them finished before" in capsys.readouterr().out  # its settings are those of tiny.toml
    assert "<table>" in bundle._repr_html_()
    assert len(labels) == 16
    assert label == labels[0]
    assert 0 < probability <= 1
