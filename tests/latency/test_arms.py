from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto

from compress.errors import BadInputError, MachineError
from compress.latency import arms
from compress.latency.feeds import feed_for, first_call, open_model
from compress.onnx_tools.providers import CPU
from tests.latency.models import write_failing, write_identity, write_model


def request(candidate: Path, baseline: Path, provider: str = CPU) -> arms.Request:
    return arms.Request({"baseline": str(baseline), "candidate": str(candidate)}, provider, 1, blocks=2, seed=0)


@pytest.fixture(autouse=True)
def _this_process_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "_pin", lambda threads: [])
    monkeypatch.setattr(arms, "WARM_UP_NS", 0)


def text(path: Path) -> Path:
    path.write_text("not a model")
    return path


BAD_MODELS: list[tuple[str, Callable[[Path], Path], str]] = [
    ("text", text, "m.onnx: no ONNX model that onnxruntime runs"),
    ("fails", write_failing, "m.onnx: fails to run on image (1, 8, 8, 1): "),
    ("another input", lambda p: write_model(p, name="pixels"), "input image is absent, in the baseline"),
    ("another shape", lambda p: write_model(p, side=9), "input image is uint8 (1, 9, 9, 1), in the baseline"),
    ("strings", lambda p: write_identity(p, TensorProto.STRING, [1]), "m.onnx: input x is string"),
    ("too large", lambda p: write_identity(p, TensorProto.FLOAT, [1 << 20, 1 << 20]), "at most 1,073,741,824 values"),
]


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in BAD_MODELS], ids=[row[0] for row in BAD_MODELS])
def test_a_model_that_cannot_be_compared_is_named(build: Callable[[Path], Path], expected: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        arms.measure(request(build(tmp_path / "m.onnx"), write_model(tmp_path / "baseline.onnx")))

    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_provider_that_is_absent_is_an_error_of_the_machine(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.onnx")

    with pytest.raises(MachineError, match="has no TensorrtExecutionProvider"):
        arms.measure(request(file, file, "TensorrtExecutionProvider"))


def test_a_provider_that_runs_only_a_part_is_an_error_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_session(file: Path, **options: object) -> None:
        raise RuntimeError("some nodes fall back to the CPU\nat length")

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr("compress.latency.feeds.open_session", open_session)

    with pytest.raises(MachineError, match=r"whole, or cannot start here: some nodes fall back to the CPU$"):
        arms.measure(request(write_model(tmp_path / "m.onnx"), tmp_path / "m.onnx", "CUDAExecutionProvider"))


def test_every_arm_gives_a_sample_of_at_least_a_millisecond_for_each_pair(tmp_path: Path) -> None:
    small = write_model(tmp_path / "small.onnx")

    samples = arms.measure(request(small, small))

    assert samples.calls > 1
    assert {arm: np.shape(blocks) for arm, blocks in samples.blocks.items()} == {
        "baseline": (2, arms.PAIRS),
        "candidate": (2, arms.PAIRS),
    }
    assert samples.single == []
    assert set(samples.first_run_ns) == {"baseline", "candidate"}


def test_a_block_calls_both_arms_alike_in_pairs_of_random_order() -> None:
    called: list[str] = []
    calls = {name: lambda name=name: called.append(name) for name in ("baseline", "candidate")}

    for seed in range(50):
        arms._block(calls, 1, random.Random(seed))

    pairs = list(zip(called[::2], called[1::2], strict=True))
    assert all(set(pair) == {"baseline", "candidate"} for pair in pairs)
    assert 0.35 < np.mean([pair[0] == "baseline" for pair in pairs]) < 0.65


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system does not pin processes")
def test_a_process_stays_on_as_many_cores_as_it_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before = psutil.Process().cpu_affinity()
    try:
        cores = arms._pin(1)
        assert len(cores) == 1
        assert psutil.Process().cpu_affinity() == cores
    finally:
        psutil.Process().cpu_affinity(before)


def test_inputs_of_any_number_type_are_fed_and_free_sizes_are_one(tmp_path: Path) -> None:
    for kind, dtype in ((TensorProto.FLOAT16, np.float16), (TensorProto.INT64, np.int64), (TensorProto.BOOL, np.bool_)):
        file = write_identity(tmp_path / "m.onnx", kind, ["batch", 3, "length"])
        session = open_model(file, threads=1, provider=CPU)
        feed = feed_for(session, file, batch=5)
        first_call(session, file, feed)
        assert (feed["x"].dtype, feed["x"].shape) == (dtype, (5, 3, 1))
