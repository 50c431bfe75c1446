from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.kernels import Left
from compress.report.file import read, to_text
from compress.report.kernel_tables import MAX_ROWS, kernel_table, left_table, other_products_line
from compress.report.kernels import Kernels, summary, why_slower
from tests.report.examples import kernel, kernels, report

CONV = kernel("QLinearConv", "int8", 60.0, nodes=6, is_product=True)
GEMM = kernel("Gemm", "float", 4.0, is_product=True)
CONVERSIONS = kernel("DequantizeLinear", "conversion", 4.0, nodes=2)
TRANSPOSE = kernel("Transpose", "movement", 12.0)
SOFTMAX = kernel("Softmax", "float", 20.0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            kernels(CONV, GEMM, CONVERSIONS, TRANSPOSE, SOFTMAX, other_products=("logits",)),
            "6 of 7 products run as int8 (not logits); 2 conversions take 4 % of the time; "
            "1 copy or reshape takes 12 % of the time",
        ),
        (kernels(CONV), "6 of 6 products run as int8"),
        (kernels(GEMM, other_products=("logits",)), "0 of 1 product runs as int8"),  # a file in float
        (
            kernels(
                kernel("Conv", "float", 996.0, nodes=5, is_product=True), CONVERSIONS, other_products=tuple("abcde")
            ),
            "0 of 5 products run as int8 (not a, b, c and 2 more); 2 conversions take less than 1 % of the time",
        ),
        (kernels(SOFTMAX), "no product"),
        (kernels(), "no product"),
    ],
)
def test_a_line_tells_what_runs_as_int8_and_what_stands_between(found: Kernels, said: str) -> None:
    assert summary(found) == said


QCONV = kernel("QLinearConv", "int8", 90.0, is_product=True)
SHORT = "as profiled, are too short to gain by integers"


@pytest.mark.parametrize(
    ("int8", "fp32", "said"),
    [
        (
            kernels(QCONV, TRANSPOSE, CONVERSIONS),
            kernels(kernel("Conv", "float", 80.0, is_product=True), kernel("ReorderInput", "movement", 9.0)),
            "products take 90 us against 80; conversions take 4 us against 0; copies and reshapes take 12 us against 9",
        ),
        (
            kernels(CONV, CONVERSIONS),
            kernels(kernel("Conv", "float", 60.0, is_product=True), SOFTMAX),
            f"conversions take 4 us against 0; its 8 kernels of 8.0 us each, {SHORT}",
        ),
        (
            kernels(CONV),
            kernels(kernel("Conv", "float", 70.0, is_product=True)),
            f"as profiled, no kind of kernel is slower; its 6 kernels of 10.0 us each, {SHORT}",
        ),
        (kernels(QCONV, SOFTMAX), kernels(QCONV), "other kernels take 20 us against 0"),
    ],
)
def test_why_int8_is_slower_is_said_by_what_takes_longer_the_most_first(
    int8: Kernels, fp32: Kernels, said: str
) -> None:
    assert why_slower(int8, fp32) == said


def test_shares_are_of_the_time_of_all_kernels() -> None:
    found = kernels(CONV, TRANSPOSE, CONVERSIONS, GEMM)

    assert [row.share for row in found.kinds] == [0.75, 0.15, 0.05, 0.05]


def test_a_report_tells_kernels_and_one_from_before_they_were_told_does_not(tmp_path: Path) -> None:
    left = Left("Cast", "image", "input", ("Mul", "Add"), None)
    whole = report()
    student = whole.models[1].model_copy(update={"kernels": kernels(CONV, other_products=("x",), left=(left,))})
    whole = whole.model_copy(update={"models": (whole.models[0], student)})
    (tmp_path / "new.json").write_text(to_text(whole))
    old = json.loads(to_text(whole))
    for model in old["models"]:
        del model["kernels"]
    (tmp_path / "old.json").write_text(json.dumps(old))

    assert read(tmp_path / "new.json") == whole
    assert {model.kernels for model in read(tmp_path / "old.json").models} == {None}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            kernels(CONVERSIONS, other_products=tuple(f"n{i}" for i in range(22))),
            f"products that do not run as int8: {', '.join(f'n{i}' for i in range(20))} and 2 more",
        ),
        (kernels(CONVERSIONS, other_products=("a", "b", "c")), ""),  # the summary has them all
        (kernels(GEMM, other_products=tuple("abcd")), ""),  # a file in float
    ],
)
def test_more_products_of_a_quantized_file_that_run_in_float_are_named_than_fit_the_summary(
    found: Kernels, line: str
) -> None:
    assert other_products_line(found) == line


def test_tables_show_every_kind_of_kernel_and_the_slowest_of_what_is_left() -> None:
    left = tuple(Left("Cast", f"tensor {i}", "input", ("Mul", "output"), float(i) or None) for i in range(30))
    found = kernels(CONV, TRANSPOSE, left=left)

    kinds, between = kernel_table(found, "m"), left_table(found)

    assert kinds.row_count == 2
    assert list(kinds.columns[-1].cells) == ["83.3 %", "16.7 %"]
    assert between is not None
    tensors, us = (list(map(str, between.columns[i].cells)) for i in (1, 4))
    assert tensors[:2] == ["tensor 29", "tensor 28"]
    assert us[0] == "29.0"
    assert list(between.columns[0].cells)[MAX_ROWS:] == ["... 10 more"]
    assert left_table(kernels(CONV)) is None
    assert left_table(kernels(CONV, left=None)) is None
