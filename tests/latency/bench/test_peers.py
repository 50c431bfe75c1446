from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from benchmarks.small_models import EXTERNAL_VALUES, write_external, write_model
from compress.artifacts import Skip
from compress.errors import BadInputError
from compress.latency import cold_start, timing
from compress.latency.bench import peers
from compress.latency.bench.peers import Difference, difference
from compress.latency.bench.sweep import Measured, Settings, sweep
from compress.latency.inputs import feed_for
from compress.onnx_tools.sessions import open_session

SETTINGS = Settings(batches=(1, 4), threads=(1,), seconds=0.02, peers=("peer",))


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "RUNS", 0)
    monkeypatch.setattr(timing, "WARM_UP_SECONDS", 0.0)


def compared(
    monkeypatch: pytest.MonkeyPatch, file: Path, peer: Callable[..., peers.Run], module: str = "json"
) -> tuple[Measured, list[Skip]]:
    """Measure a file beside a peer of this name and module."""
    monkeypatch.setitem(peers.PEERS, "peer", (module, peer))
    [measured], skipped = sweep({"m": file}, SETTINGS, lambda words: None)
    return measured, skipped


def test_a_peer_is_measured_in_every_setting_and_its_outputs_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_a_half(file: Path, threads: int, feed: Mapping[str, np.ndarray], outputs: Sequence[str]) -> peers.Run:
        session = open_session(file, threads=threads)
        return lambda: [output + 0.5 for output in session.run(None, feed)]

    measured, skipped = compared(monkeypatch, write_model(tmp_path / "m.onnx"), off_by_a_half)

    assert not skipped
    assert [(row.provider, row.batch) for row in measured.latencies] == [
        ("CPUExecutionProvider", 1),
        ("peer", 1),
        ("CPUExecutionProvider", 4),
        ("peer", 4),
    ]
    assert measured.differences["peer"].largest == pytest.approx(0.5, rel=1e-4)


def test_a_peer_that_cannot_run_a_model_is_skipped_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(file: Path, threads: int, feed: Mapping[str, np.ndarray], outputs: Sequence[str]) -> peers.Run:
        raise RuntimeError("no such operator\nat length")

    measured, skipped = compared(monkeypatch, write_model(tmp_path / "m.onnx"), fails)

    assert skipped == [Skip("m on peer", "no such operator")]
    assert len(measured.latencies) == 2


def test_a_peer_that_is_not_installed_is_skipped_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, [skip] = compared(monkeypatch, write_model(tmp_path / "m.onnx"), lambda *_: list, "no_such_module")

    assert (skip.what, skip.why) == ("peer", "is not installed: pip install 'compress[peers]'")
    assert len(measured.latencies) == 2


def test_a_difference_is_the_largest_over_all_outputs_and_says_of_how_much() -> None:
    expected: list[np.ndarray] = [np.array([[1.0, -8.0]], np.float32), np.array([3], np.int64)]
    found: list[np.ndarray] = [np.array([[1.25, -8.0]], np.float32), np.array([5], np.int64)]

    assert difference(found, expected) == Difference(largest=2.0, of=8.0)


def test_outputs_of_other_shapes_are_no_comparison() -> None:
    with pytest.raises(ValueError, match=r"its outputs have shapes \[\(2,\)\], onnxruntime's \[\(3,\)\]"):
        difference([np.zeros(2)], [np.zeros(3)])


def test_outputs_that_are_not_finite_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="outputs are not finite"):
        difference([np.array([np.nan])], [np.array([np.nan])])


def test_openvino_runs_the_same_file_with_the_same_outputs(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    file = write_model(tmp_path / "m.onnx", layers=2)
    session = open_session(file)
    for batch in (1, 4):
        feed = feed_for(session, file, batch)

        found = peers.open_peer("openvino", file, 1, feed, [output.name for output in session.get_outputs()])()

        np.testing.assert_allclose(found[0], session.run(None, feed)[0], rtol=1e-4, atol=1e-6)


def test_a_tflite_file_that_git_lfs_has_not_fetched_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "m.tflite").write_text("version https://git-lfs.github.com/spec/v1\n")

    with pytest.raises(BadInputError, match=r"m\.tflite: is a Git LFS pointer"):
        peers.open_peer("litert", tmp_path / "m.onnx", 1, {}, [])


def test_openvino_reads_external_data_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    write_external(tmp_path / "here" / "other.onnx", 7)
    file = write_external(tmp_path / "there" / "m.onnx", 2)
    monkeypatch.chdir(tmp_path / "here")

    [found] = peers.open_peer("openvino", file, 1, {"x": np.ones((1, EXTERNAL_VALUES), np.float32)}, ["y"])()

    assert np.unique(found).tolist() == [2]


def test_litert_runs_the_tflite_beside_the_file(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    import tensorflow as tf

    doubled = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([doubled.get_concrete_function()])
    (tmp_path / "m.tflite").write_bytes(converter.convert())

    for batch in (1, 4):
        x = np.arange(3.0 * batch, dtype=np.float32).reshape(batch, 3)
        np.testing.assert_array_equal(peers.open_peer("litert", tmp_path / "m.onnx", 1, {"x": x}, ["y"])()[0], 2 * x)


def test_litert_matches_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name) for name in ("b", "a")])
        def __call__(self, b: tf.Tensor, a: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"zeta": a - b, "alpha": 10.0 * a, "mid": 100.0 * b}

    module = Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    feed = {"a": np.array([3, 4], np.float32), "b": np.array([1, 1], np.float32)}

    for outputs in itertools.permutations(("zeta", "alpha", "mid")):
        found = peers.open_peer("litert", tmp_path / "m.onnx", 1, feed, outputs)()
        by_name = dict(zip(outputs, [values.tolist() for values in found], strict=True))
        assert by_name == {"zeta": [2, 3], "alpha": [30, 40], "mid": [100, 100]}
    with pytest.raises(ValueError, match="onnxruntime's zeta, beta: they should have the same names"):
        peers.open_peer("litert", tmp_path / "m.onnx", 1, feed, ("zeta", "beta"))


def test_openvino_gives_outputs_by_name(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    nodes = [helper.make_node("Neg", ["x"], ["first"]), helper.make_node("Abs", ["x"], ["second"])]
    x, first, second = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "first", "second")
    )
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [first, second]), ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    feed = {"x": np.array([1, -2], np.float32)}

    found = peers.open_peer("openvino", tmp_path / "m.onnx", 1, feed, ["second", "first"])()

    assert [values.tolist() for values in found] == [[1, 2], [-1, 2]]


def test_litert_without_a_tflite_says_so(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")

    with pytest.raises(FileNotFoundError, match=r"m.tflite: no such file; LiteRT cannot read ONNX"):
        peers.open_peer("litert", tmp_path / "m.onnx", 1, {}, [])
