"""Models with external data, and models in bfloat16, as bench, check and the fixture read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.small_models import EXTERNAL_VALUES as N
from benchmarks.small_models import write_external
from compress.errors import BadInputError
from compress.latency.gate import baselines
from compress.latency.gate.check import Model, Settings
from compress.latency.gate.limits import check_limits
from compress.latency.model_files import digest, name_and_file, open_model, size_bytes
from compress.onnx_tools.providers import CPU


def answer(file: Path) -> float:
    return float(open_model(file, provider=CPU).run(None, {"x": np.ones((1, N), np.float32)})[0][0, 0])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that holds another file of the same name."""
    here = tmp_path / "here"
    here.mkdir()
    np.full(N, 7, np.float32).tofile(here / "weights.bin")
    monkeypatch.chdir(here)
    return here


def test_external_data_are_those_beside_the_model(here: Path) -> None:
    assert answer(write_external(here.parent / "there" / "model.onnx", 2)) == 2


def test_external_data_count_for_size_and_digest(here: Path) -> None:
    one, other = (write_external(here.parent / name / "model.onnx", value) for name, value in (("a", 1), ("b", 2)))

    assert size_bytes(one) == one.stat().st_size + 4 * N
    assert one.read_bytes() == other.read_bytes()
    assert digest(one) != digest(other)
    [limit] = check_limits(Model("model", one, one), ["size"], Settings(), None, seconds=1.0)
    assert limit.value == size_bytes(one) / 1e3


def test_a_baseline_is_kept_with_its_external_data(here: Path) -> None:
    model, folder = write_external(here.parent / "there" / "model.onnx", 2), here / "baselines"

    first = baselines.update(folder, "model", model)

    kept = baselines.find(folder, "model")
    assert (answer(kept), digest(kept), first) == (2, first, digest(model))
    write_external(model, 3)  # the same model file, with other weights
    assert baselines.update(folder, "model", model) != first
    assert answer(baselines.find(folder, "model")) == 3
    assert not (folder / first).exists(), "what no model has any more is deleted"


def test_a_baseline_whose_external_data_are_damaged_is_refused_and_update_mends_it(here: Path) -> None:
    model, folder = write_external(here.parent / "there" / "model.onnx", 2), here / "baselines"
    baselines.update(folder, "model", model)
    np.full(N, 5, np.float32).tofile(baselines.find(folder, "model").parent / "weights.bin")

    with pytest.raises(BadInputError, match="its sha256 is another"):
        baselines.find(folder, "model")
    baselines.update(folder, "model", model)
    assert answer(baselines.find(folder, "model")) == 2


def test_a_model_and_its_data_may_both_be_links_into_one_folder(here: Path) -> None:
    kept = write_external(here.parent / "blobs" / "model.onnx", 2)
    for name in ("model.onnx", "weights.bin"):
        (here.parent / "snapshot").mkdir(exist_ok=True)
        (here.parent / "snapshot" / name).symlink_to(kept.parent / name)

    _, file = name_and_file(here.parent / "snapshot" / "model.onnx")

    assert (answer(file), size_bytes(file)) == (2, size_bytes(kept))


def linked_away(file: Path) -> Path:
    write_external(file, 1, "link.bin")
    (file.parent / "link.bin").symlink_to(file.parent.parent / "here" / "weights.bin")
    return file


def missing(file: Path) -> Path:
    write_external(file, 1)
    (file.parent / "weights.bin").unlink()
    return file


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing, though it is in the current folder": (missing, "No such file or directory; keep it beside the model"),
    "absolute": (lambda f: write_external(f, 1, str(f.parent / "weights.bin")), "should be a file in the model's"),
    "of Windows": (lambda f: write_external(f, 1, "C:\\weights.bin"), "should be a file in the model's folder"),
    "above": (lambda f: write_external(f, 1, "../here/weights.bin"), "should be a file in the model's folder"),
    "above, with backslashes": (lambda f: write_external(f, 1, "..\\here\\weights.bin"), "should be a file in"),
    "there and back": (lambda f: write_external(f, 1, f"../{f.parent.name}/weights.bin"), "should be a file in"),
    "no name": (lambda f: write_external(f, 1, ""), "should be a file in the model's folder"),
    "the folder itself": (lambda f: write_external(f, 1, "./"), "should be a file in the model's folder"),
    "the model itself": (lambda f: write_external(f, 1, f.name), "which is no data file"),
    "no file name": (lambda f: write_external(f, 1, "a\0b"), "keep it beside the model"),
    "a link that leads away": (linked_away, "a link that leads out of the model's folder"),
    "of any length": (lambda f: write_external(f, 1, length=1 << 50), "but its shape [1000] needs 4,000"),
    "beyond the file": (lambda f: write_external(f, 1, offset=4, length=4 * N), "bytes 4 to 4,004; the file has 4,000"),
    "without a length": (lambda f: write_external(f, 1, offset=4), "bytes 4 to 4,004; the file has 4,000"),
    "before the file": (lambda f: write_external(f, 1, offset=-4), "the file has 4,000"),
    "no number": (lambda f: write_external(f, 1, offset="x"), "that is not a number"),
    "other than its shape": (lambda f: write_external(f, 1, length=8), "has 8 bytes, but its shape [1000] needs 4,000"),
}


@pytest.mark.parametrize(("build", "expected"), REFUSED.values(), ids=REFUSED)
def test_external_data_that_cannot_be_right_are_refused_in_one_line(
    build: Callable[[Path], Path], expected: str, here: Path
) -> None:
    with pytest.raises(BadInputError) as error:
        name_and_file(build(here.parent / "there" / "model.onnx"))

    assert expected in str(error.value)
    assert "there/model.onnx: the data of 'w'" in str(error.value)
    assert "\n" not in str(error.value)


def bfloat16(file: Path, inputs: int) -> Path:
    x, y = (helper.make_tensor_value_info(name, inputs, ["batch", 4]) for name in "xy")
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.BFLOAT16),
        helper.make_node("Mul", ["a", "a"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=inputs),
    ]
    onnx.save(
        helper.make_model(
            helper.make_graph(nodes, "m", [x], [y]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ),
        file,
    )
    return file


@pytest.mark.parametrize("inputs", [TensorProto.FLOAT, TensorProto.BFLOAT16])
def test_a_model_that_computes_in_bfloat16_is_not_supported(inputs: int, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="bfloat16, which is not supported here"):
        open_model(bfloat16(tmp_path / "m.onnx", inputs), provider=CPU)


def test_an_input_in_bfloat16_is_not_supported(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["batch", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "m", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")

    with pytest.raises(BadInputError, match="x is bfloat16, which is not supported here"):
        open_model(tmp_path / "m.onnx", provider=CPU)
