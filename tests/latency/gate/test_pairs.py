from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from benchmarks.small_models import write_failing, write_identity, write_model
from compress.errors import BadInputError, MachineError
from compress.latency.gate import pairs
from compress.onnx_tools.providers import CPU


def request(candidate: Path, baseline: Path, provider: str = CPU) -> pairs.Request:
    return pairs.Request({"baseline": str(baseline), "candidate": str(candidate)}, provider, 1, blocks=2, seed=0)


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
