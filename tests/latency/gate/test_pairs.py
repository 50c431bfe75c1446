from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.small_models import write_failing, write_identity, write_model
from compress.errors import BadInputError, MachineError
from compress.latency import cold_start
from compress.latency.gate import pairs
from compress.latency.gate.check import models_of
from compress.latency.given import NOTHING, Given
from compress.onnx_tools.providers import CPU


def request(candidate: Path, baseline: Path, provider: str = CPU, given: Given = NOTHING) -> pairs.Request:
    files = {"baseline": str(baseline), "candidate": str(candidate)}
    return pairs.Request(files, provider, 1, blocks=2, seed=0, given=given)


@pytest.fixture(autouse=True)
def _this_process_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "pin_to_idle_cores", lambda threads: [])
    monkeypatch.setattr(pairs, "WARM_UP_NS", 0)


def text(path: Path) -> Path:
    path.write_text("not a model")
    return path


BAD_MODELS: list[tuple[str, Callable[[Path], Path], str]] = [
    ("text", text, "m.onnx: not an ONNX model that onnxruntime can run"),
    ("fails", write_failing, "m.onnx: fails to run on image (1, 8, 8, 1): "),
    ("another input", lambda p: write_model(p, name="pixels"), "input image is absent, in the baseline"),
    ("another shape", lambda p: write_model(p, side=9), "input image is uint8 (1, 9, 9, 1), in the baseline"),
    ("strings", lambda p: write_identity(p, TensorProto.STRING, [1]), "m.onnx: input x is string"),
    ("too large", lambda p: write_identity(p, TensorProto.FLOAT, [1 << 20, 1 << 20]), "at most 1,073,741,824 values"),
]


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in BAD_MODELS], ids=[row[0] for row in BAD_MODELS])
def test_a_model_that_cannot_be_compared_is_named(build: Callable[[Path], Path], expected: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        pairs.measure(request(build(tmp_path / "m.onnx"), write_model(tmp_path / "baseline.onnx")))

    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_provider_that_is_absent_is_an_error_of_the_machine(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.onnx")

    with pytest.raises(MachineError, match="has no TensorrtExecutionProvider"):
        pairs.measure(request(file, file, "TensorrtExecutionProvider"))


def test_a_provider_that_runs_only_a_part_is_an_error_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_session(file: Path, **options: object) -> None:
        raise RuntimeError("some nodes fall back to the CPU\nat length")

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr("compress.latency.model_files.open_session", open_session)

    with pytest.raises(
        MachineError,
        match=r"CUDAExecutionProvider cannot run all of it, or cannot start here: some nodes fall back to the CPU$",
    ):
        pairs.measure(request(write_model(tmp_path / "m.onnx"), tmp_path / "m.onnx", "CUDAExecutionProvider"))


def test_every_arm_gives_a_sample_of_at_least_a_millisecond_for_each_pair(tmp_path: Path) -> None:
    small = write_model(tmp_path / "small.onnx")

    samples = pairs.measure(request(small, small))

    assert samples.calls > 1
    assert {arm: np.shape(blocks) for arm, blocks in samples.blocks.items()} == {
        "baseline": (2, pairs.PAIRS),
        "candidate": (2, pairs.PAIRS),
    }
    assert samples.single == []
    assert set(samples.first_run_ns) == {"baseline", "candidate"}


def test_a_block_calls_both_arms_alike_in_pairs_of_random_order() -> None:
    called: list[str] = []
    calls = {name: lambda name=name: called.append(name) for name in ("baseline", "candidate")}

    for seed in range(50):
        pairs._block(calls, 1, random.Random(seed))

    found = list(zip(called[::2], called[1::2], strict=True))
    assert all(set(pair) == {"baseline", "candidate"} for pair in found)
    assert 0.35 < np.mean([pair[0] == "baseline" for pair in found]) < 0.65


def identities(path: Path, **shapes: list[Any] | None) -> Path:
    """Write a model that returns its float inputs."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes]
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "g", values, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


TOGETHER: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("sides", {"x": ["n", 3, "h", "w"]}, {"x": ["n", 3, 20, 30]}, {"x": [1, 3, 20, 30]}),
    ("a side each", {"x": [1, 3, "h", 30]}, {"x": [1, 3, 20, None]}, {"x": [1, 3, 20, 30]}),
    ("batch", {"x": ["n", 3]}, {"x": [8, 3]}, {"x": [8, 3]}),
    ("all of a shape", {"x": None}, {"x": [2, 3]}, {"x": [2, 3]}),
    (
        "symbol of one input by another",
        {"a": [1, "n"], "b": ["n", 16]},
        {"a": [1, 7], "b": ["m", 16]},
        {"a": [1, 7], "b": [7, 16]},
    ),
]


@pytest.mark.parametrize(("one", "other", "fed"), [row[1:] for row in TOGETHER], ids=[row[0] for row in TOGETHER])
def test_what_one_of_the_two_models_fixes_the_other_is_fed(
    one: dict[str, Any], other: dict[str, Any], fed: dict[str, Any], tmp_path: Path
) -> None:
    first, second = identities(tmp_path / "one.onnx", **one), identities(tmp_path / "other.onnx", **other)

    for candidate, baseline in ((first, second), (second, first)):
        [model] = models_of([candidate], baseline)
        samples = pairs.measure(request(model.candidate, model.baseline, given=model.given))
        assert samples.fed == fed
        start = cold_start.run(cold_start.Request(str(candidate), CPU, 1, {}, model.given))
        assert start.first_run_ns > 0


APART: list[tuple[str, dict[str, Any], dict[str, Any], Given, str]] = [
    (
        "neither fixes it",
        {"x": ["n", 3, "h", "w"]},
        {"x": ["n", 3, 20, "w"]},
        NOTHING,
        "input x is float (n, 3, 20, w): not all dimensions are known",
    ),
    ("dimension of 0", {"x": [1, 0]}, {"x": [1, 3]}, NOTHING, "a dimension of 0 holds nothing to measure"),
    ("other ranks", {"x": [1, "h", 3]}, {"x": [1, 3]}, NOTHING, "one.onnx: input x is float (1, h, 3)"),
    ("a scalar", {"x": []}, {"x": [1, 3]}, NOTHING, "input x is float (), in the baseline"),
    ("other sizes", {"x": [1, 4]}, {"x": [1, 3]}, NOTHING, "input x is float (1, 4), in the baseline"),
    (
        "a stated size that the other does not have",
        {"x": [1, "w"]},
        {"x": [1, 3]},
        Given({"x": (1, 4)}),
        "should be float (1, 3), but (1, 4) is given",
    ),
]


@pytest.mark.parametrize(("one", "other", "given", "why"), [row[1:] for row in APART], ids=[row[0] for row in APART])
def test_what_neither_fixes_is_asked_for_and_what_they_fix_differently_is_named(
    one: dict[str, Any], other: dict[str, Any], given: Given, why: str, tmp_path: Path
) -> None:
    first, second = identities(tmp_path / "one.onnx", **one), identities(tmp_path / "other.onnx", **other)

    def compare() -> None:
        [model] = models_of([first], second, given)
        pairs.measure(request(model.candidate, model.baseline, given=model.given))

    with pytest.raises(BadInputError) as error:
        compare()

    assert why in str(error.value)
    assert "\n" not in str(error.value)
