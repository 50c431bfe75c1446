from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from compress import live as module
from compress.live import Live

ROWS = "epoch,learning_rate,loss,validation_accuracy,validation_recall,validation_cross_entropy,images_per_second\n"


def history(logs: Path, stage: str, epochs: int, modified: float) -> None:
    folder = logs / f"{stage}-0123abcd" / "training"
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{i},0.1,1.5,0.{i},0.{i},1.0,100.0\n" for i in range(1, epochs + 1))
    (folder / "history.csv").write_text(ROWS + rows)
    os.utime(folder / "history.csv", (modified, modified))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = clock.time = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_the_page_shows_the_stage_the_time_left_and_the_curves_of_this_run(
    clock: SimpleNamespace, tmp_path: Path
) -> None:
    history(tmp_path / "logs", "earlier", 3, modified=900)
    page = Live(tmp_path / "live.html", tmp_path / "logs", "<digits>", False, print)
    history(tmp_path / "logs", "teacher", 2, modified=1001)

    page("prune", 0.25, "epoch 2/6", "about 3 min left")

    text = (tmp_path / "live.html").read_text("utf-8")
    assert "25 % of prune, epoch 2/6: about 3 min left." in text
    assert "&lt;digits&gt;: prune" in text
    assert "teacher, training: validation above" in text
    assert "earlier" not in text
    assert "location.reload()" in text


def test_it_is_written_every_few_seconds_alone(clock: SimpleNamespace, tmp_path: Path) -> None:
    page = Live(tmp_path / "live.html", tmp_path / "logs", "digits", False, print)
    told = []
    for second in range(12):
        page("teacher", second / 100, "", "left")
        told.append((tmp_path / "live.html").read_text("utf-8").partition(" % of teacher")[0].rpartition(">")[2])
        clock.now += 1

    assert sorted(set(told), key=int) == ["0", "5", "10"]


def test_at_the_end_it_leads_to_the_report_and_is_still(clock: SimpleNamespace, tmp_path: Path) -> None:
    page = Live(tmp_path / "live.html", tmp_path / "logs", "digits", False, print)
    page("teacher", 0.5, "", "left")

    page.end("finished", tmp_path / "report.html")

    text = (tmp_path / "live.html").read_text("utf-8")
    assert f'href="{(tmp_path / "report.html").as_uri()}"' in text
    assert "location.reload()" not in text


def test_a_run_that_has_stopped_is_said_to_have(clock: SimpleNamespace, tmp_path: Path) -> None:
    page = Live(tmp_path / "live.html", tmp_path / "logs", "digits", False, print)

    page.end("stopped")

    text = (tmp_path / "live.html").read_text("utf-8")
    assert "<h1>digits: stopped</h1>" in text
    assert "goes on where the run stopped" in text


def test_a_page_that_cannot_be_written_is_told_of_once_and_ends_no_run(clock: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "live.html").mkdir()
    notes: list[str] = []
    page = Live(tmp_path / "live.html", tmp_path / "logs", "digits", True, notes.append)

    for _ in range(2):
        page("teacher", 0.5, "", "left")
        clock.now += 10

    [line] = notes
    assert line.startswith(f"{tmp_path / 'live.html'}: cannot be written: ")
