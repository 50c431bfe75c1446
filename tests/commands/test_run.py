from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from compress.artifacts import Bundle
from compress.commands import run as run_module
from compress.commands.run import _show
from tests.conftest import run_main
from tests.report.examples import differing, report


def test_a_run_ends_with_what_would_have_helped_and_where_the_bundle_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = ("teacher: too short: --set teacher.epochs=12 may help", "the teacher is hardly better than guessing")
    whole = report(student=differing(0.1, 0.5)).model_copy(update={"advice": advice})
    monkeypatch.setattr("compress.bundle.publish.publish", lambda bundle, exported: tmp_path)
    monkeypatch.setattr("compress.report.file.read", lambda path: whole)
    console = Console(file=io.StringIO(), width=60)

    _show(console, Bundle("toy", "student-fp32", tmp_path), tmp_path)

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[-4:-2] == list(advice)
    assert lines[-1].startswith("bundle: ")


@pytest.mark.parametrize("has_browser", [True, False])
def test_report_opens_its_page_or_says_where_it_is(
    has_browser: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return has_browser

    monkeypatch.setattr("webbrowser.open", open_page)
    monkeypatch.setattr(run_module, "run_up_to", lambda *_: Bundle("toy", "student-fp32", tmp_path))

    assert run_main(monkeypatch, tmp_path, "report", "--open") == 0

    page = tmp_path / "exported" / "toy" / "report.html"
    assert opened == [page.as_uri()]
    assert capsys.readouterr().out == ("" if has_browser else f"no browser was found; the page is {page}\n")
