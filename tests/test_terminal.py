from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.table import Table

from compress.artifacts import Latencies
from compress.latency.bench import tables
from compress.latency.bench.sweep import Fed, Measured
from compress.latency.cold_start import ColdStart
from compress.report.schema import Report
from compress.report.table import report_table
from compress.terminal import Terminal, terminal
from tests.report.examples import report

SAMPLES_NS = tuple(range(10_132_456_789, 10_132_456_789 + 1000))  # a latency of five digits in ms


def measured(name: str) -> Measured:
    latencies = (Latencies(name, "CPUExecutionProvider", 16, 4096, SAMPLES_NS),)
    return Measured(name, Path(__file__), {}, (Fed(4096, {}),), (ColdStart(12_345_678_901, 12_345_678_901),), latencies)


def slow_report() -> Report:
    slow = report()
    return slow.model_copy(
        update={"models": tuple(model.model_copy(update={"size_bytes": 528_345_678}) for model in slow.models)}
    )


TABLES = {
    "latency": lambda name: tables.latency_table([measured(name)]),
    "models": lambda name: tables.model_table([measured(name)]),
    "report": lambda _: report_table(slow_report()),
}


def text_of(console: Terminal, table: Table) -> str:
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("width", [20, 40, 60, 80])
@pytest.mark.parametrize("name", ["m", "a-model-of-a-rather-long-name-as-files-have-it"])
@pytest.mark.parametrize("table", TABLES)
def test_no_figure_is_cut_however_narrow_the_terminal(table: str, name: str, width: int) -> None:
    shown = TABLES[table](name)

    text = text_of(Terminal(width=width), shown)

    figures = [str(cell) for column in shown.columns if column.justify == "right" for cell in column.cells]
    assert figures
    assert "…" not in text
    assert [figure for figure in figures if figure not in text] == []


def test_a_latency_of_five_digits_is_whole_at_80_columns() -> None:
    assert "10132.457" in text_of(Terminal(width=80), tables.latency_table([measured("a-rather-long-name")]))


@pytest.mark.parametrize(("columns", "is_wrapped"), [(None, False), ("60", True)])
def test_without_a_terminal_no_width_is_assumed(
    columns: str | None, is_wrapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    table = Table("why", title="title")
    table.add_row("word " * 100)

    lines = text_of(terminal(), table).splitlines()

    assert (len(lines) > 9) == is_wrapped
    assert max(map(len, lines)) < 600  # as long as needed, not longer
