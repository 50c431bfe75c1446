from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from compress.artifacts import Latencies
from compress.latency.bench import tables
from compress.latency.bench.sweep import Fed, Measured
from compress.latency.cold_start import ColdStart
from compress.latency.host import conditions


def test_a_name_that_looks_like_markup_is_printed_as_it_is() -> None:
    table = tables.model_table([Measured("a[/b]", Path(__file__), {}, (Fed(1, {}),), (ColdStart(1, 1),))])

    assert "a[/b]" in text_of(table)


def test_percentiles_that_the_calls_do_not_carry_are_left_out_of_the_table() -> None:
    latencies = tuple(Latencies("m", "CPUExecutionProvider", 1, 8, (2_000_000,) * n) for n in (63, 64))
    measured = Measured("m", Path("m.onnx"), {}, (Fed(8, {}),), latencies=latencies)

    lines = text_of(tables.latency_table([measured])).splitlines()

    assert [line.split()[4:] for line in lines if line.startswith("m ")] == [
        ["2.000", "-", "-", "4,000", "63"],
        ["2.000", "2.000", "-", "4,000", "64"],
    ]


def test_the_machines_line_names_the_gpu_and_its_driver() -> None:
    line = tables.host_line({**conditions(), "gpu": "NVIDIA H200, driver 580.1"})

    assert " cores, " in line
    assert ", NVIDIA H200, driver 580.1, " in line


def text_of(table: Table) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
