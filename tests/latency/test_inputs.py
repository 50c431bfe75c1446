from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.small_models import write_identity, write_model
from compress.errors import BadInputError
from compress.latency.given import NOTHING, Given
from compress.latency.graph_inputs import check_known
from compress.latency.inputs import check_batch, feed_for, fixed_batch, is_swept
from compress.latency.model_files import first_call, open_model
from compress.onnx_tools.providers import CPU

Value = tuple[str, int, list[Any] | None]
FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8


def write(path: Path, inputs: list[Value], nodes: list[Any], outputs: list[Value]) -> Path:
    given, returned = ([helper.make_tensor_value_info(*value) for value in values] for values in (inputs, outputs))
    graph = helper.make_graph(nodes, "g", given, returned)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def feed(file: Path, given: Given = NOTHING, batch: int = 1) -> dict[str, np.ndarray]:
    """Return what a file is fed, after all that bench and check look at."""
    check_known([[file]], given)
    session = open_model(file, threads=1, provider=CPU)
    check_batch(session, file, given)
    found = feed_for(session, file, batch, given)
    first_call(session, file, found)
    return found


def fed_shapes(file: Path, given: Given = NOTHING, batch: int = 1) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in feed(file, given, batch).items()}


def identities(path: Path, *inputs: Value) -> Path:
    """Write a model that returns each of its inputs."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in inputs]
    return write(path, list(inputs), nodes, [(f"{name}_out", kind, shape) for name, kind, shape in inputs])


def through(path: Path, operators: list[str], kind: int = FLOAT, shape: list[Any] | None = None) -> Path:
    """Write a model whose input `x` passes operators, the last of which may be an Expand to that shape."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h0"], to=INT64 if operators[-1] == "Expand" else FLOAT),
        *(helper.make_node(name, [f"h{i}"], [f"h{i + 1}"]) for i, name in enumerate(operators[:-1])),
    ]
    last = f"h{len(operators) - 1}"
    one = helper.make_node("Constant", [], ["one"], value_float=1.0)
    wanted = ["one", last] if operators[-1] == "Expand" else [last]
    nodes += [one, helper.make_node(operators[-1], wanted, ["y"])]
    return write(path, [("x", kind, shape or [2])], nodes, [("y", FLOAT, None)])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(FLOAT, np.float32), (TensorProto.FLOAT16, np.float16), (UINT8, np.uint8), (TensorProto.INT8, np.int8)],
)
def test_data_are_noise_and_a_free_batch_is_the_one_to_measure(kind: int, dtype: Any, tmp_path: Path) -> None:
    file = write_identity(tmp_path / "m.onnx", kind, ["batch", 3, 5])

    value = feed(file, batch=5)["x"]

    assert (value.dtype, value.shape) == (dtype, (5, 3, 5))
    assert len(np.unique(value)) > 10
    np.testing.assert_array_equal(value, feed(file, batch=5)["x"])


def test_integers_are_fed_as_given(tmp_path: Path) -> None:
    for kind, dtype in ((INT64, np.int64), (TensorProto.BOOL, np.bool_)):
        file = write_identity(tmp_path / "m.onnx", kind, ["batch", 3, "length"])
        np.savez(tmp_path / "x.npz", x=np.ones((5, 3, 2), dtype))

        value = feed(file, Given(file=str(tmp_path / "x.npz")))["x"]

        assert (value.dtype, value.shape, value.all()) == (dtype, (5, 3, 2), True)


def flattening(path: Path) -> Path:
    """Write a model whose one output is as long as its input has values, and so does not follow the first dimension."""
    length = helper.make_node("Constant", [], ["length"], value_ints=[-1])
    nodes = [length, helper.make_node("Reshape", ["x", "length"], ["y"])]
    return write(path, [("x", FLOAT, [None, 40])], nodes, [("y", FLOAT, [None])])


ASKED: list[tuple[str, Callable[[Path], Path], str]] = [
    (
        "height and width",
        lambda p: write_identity(p, FLOAT, ["batch", 3, "h", "w"]),
        "input x is float (batch, 3, h, w): not all dimensions are known; should be given, such as "
        "--shape x=1x3x224x224, or by --inputs FILE.npz",
    ),
    ("unnamed", lambda p: write_identity(p, UINT8, [None, 3, None]), "such as --shape x=1x3x224"),
    ("dimension of 0", lambda p: write_identity(p, FLOAT, [0, 3]), "a dimension of 0 holds nothing to measure"),
    ("later dimension of 0", lambda p: write_identity(p, FLOAT, ["batch", 0]), "a dimension of 0 holds nothing"),
    ("no shape", lambda p: identities(p, ("x", FLOAT, None)), "such as --shape x=1x3x224x224"),
    (
        "first of one input only",
        lambda p: identities(p, ("a", FLOAT, [1, "n"]), ("b", FLOAT, ["n", 16])),
        "--shape a=1x224",
    ),
    (
        "two first dimensions",
        lambda p: identities(p, ("a", FLOAT, ["n", 2]), ("b", FLOAT, ["m", 2])),
        "--shape a=1x2",
    ),
    ("batch that is also a side", lambda p: write_identity(p, FLOAT, ["n", "n"]), "--shape x=1x224"),
    (
        "outputs of fixed shape",
        lambda p: write(
            p,
            [("x", FLOAT, ["points", 4])],
            [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0])],
            [("y", FLOAT, [1, 4])],
        ),
        "--shape x=1x4",
    ),
    ("outputs that do not follow", flattening, "outputs do not follow its first dimension, which is no batch"),
    ("indices", lambda p: write_identity(p, INT64, ["batch", 4]), "given by --inputs FILE.npz, with an array x"),
    ("flags", lambda p: write_identity(p, TensorProto.BOOL, ["batch", 4]), "given by --inputs FILE.npz"),
    ("bytes of one dimension", lambda p: write_identity(p, UINT8, [100]), "given by --inputs FILE.npz"),
    ("uint8 as a shape", lambda p: through(p, ["Abs", "Expand"], UINT8), "input x decides how much is computed"),
    ("float as a shape", lambda p: through(p, ["Floor", "Expand"]), "input x decides how much is computed"),
    (
        "scales of a Resize",
        lambda p: write(
            p,
            [("x", FLOAT, [1, 1, 8, 8]), ("scales", FLOAT, [4])],
            [helper.make_node("Resize", ["x", "", "scales"], ["y"])],
            [("y", FLOAT, None)],
        ),
        "input scales decides how much is computed",
    ),
]


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in ASKED], ids=[row[0] for row in ASKED])
def test_what_is_not_known_is_asked_for(build: Callable[[Path], Path], expected: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        feed(build(tmp_path / "m.onnx"))

    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_data_that_reach_no_shape_steer_nothing(tmp_path: Path) -> None:
    assert fed_shapes(through(tmp_path / "m.onnx", ["Abs", "Relu"], UINT8, [1, 4])) == {"x": (1, 4)}


def test_rounds_of_a_loop_and_what_its_body_is_steered_by_are_asked_for(tmp_path: Path) -> None:
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Cast", ["size"], ["whole"], to=INT64),
            helper.make_node("ConstantOfShape", ["whole"], ["made"]),
            helper.make_node("Identity", ["size"], ["size_out"]),
        ],
        "body",
        [scalar("i", INT64, []), scalar("going", TensorProto.BOOL, []), scalar("size", FLOAT, [1])],
        [scalar("still", TensorProto.BOOL, []), scalar("size_out", FLOAT, [1]), scalar("made", FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["rounds", "", "x"], ["last", "all"], body=body)
    inputs: list[Value] = [("rounds", INT64, []), ("x", FLOAT, [1])]
    file = write(tmp_path / "m.onnx", inputs, [loop], [("last", FLOAT, [1])])

    arrays: dict[str, Any] = {}
    for name in ("rounds", "x"):
        np.savez(tmp_path / "x.npz", **arrays)
        with pytest.raises(BadInputError, match=f"input {name} decides how much is computed"):
            feed(file, Given(file=str(tmp_path / "x.npz")))
        arrays["rounds"] = np.int64(3)


def test_a_symbol_has_one_size_in_all_inputs(tmp_path: Path) -> None:
    file = identities(tmp_path / "m.onnx", ("a", FLOAT, [1, "n"]), ("b", FLOAT, ["n", 16]))

    assert fed_shapes(file, Given({"a": (1, 7)})) == {"a": (1, 7), "b": (7, 16)}
    with pytest.raises(BadInputError, match=r"input b of .* should be float \(n, 16\), but \(8, 16\) is given; n is 7"):
        feed(file, Given({"a": (1, 7), "b": (8, 16)}))


@pytest.mark.parametrize(
    ("shape", "batch", "expected", "swept"),
    [((1, 3, 20, 30), 4, (4, 3, 20, 30), True), ((2, 3, 20, 30), 4, (2, 3, 20, 30), False)],
)
def test_a_shape_stated_for_a_batch_of_1_leaves_the_batch_free(
    shape: tuple[int, ...], batch: int, expected: tuple[int, ...], swept: bool, tmp_path: Path
) -> None:
    file = write_identity(tmp_path / "m.onnx", FLOAT, ["batch", 3, "h", "w"])

    given = Given({"x": shape})

    assert fed_shapes(file, given, batch) == {"x": expected}
    assert is_swept(open_model(file, threads=1, provider=CPU), given) is swept


@pytest.mark.parametrize(
    ("shape", "output", "batch"),
    [((4, 3), (4, 2), 4), ((3, 128, 128), (3, 128, 128), 1), ((3, 128, 128), (10,), 1), ((5, 2), (), 1)],
)
def test_a_fixed_first_dimension_is_a_batch_if_outputs_follow_and_it_is_no_color(
    shape: tuple[int, ...], output: tuple[int, ...], batch: int
) -> None:
    assert fixed_batch({"x": np.zeros(shape)}, [np.zeros(output)]) == batch


class Unwelcome:
    def __reduce__(self) -> Any:
        return print, ("unpickled",)


MISFITS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("rank", {"image": (1, 8)}, {}, r"input image of .*m.onnx should be uint8 \(batch, 8, 8, 1\), but \(1, 8\) is"),
    ("size", {"image": (1, 9, 8, 1)}, {}, r"should be uint8 \(batch, 8, 8, 1\), but \(1, 9, 8, 1\) is given"),
    ("zero", {"image": (0, 8, 8, 1)}, {}, r"--shape image: is \(0, 8, 8, 1\); each number should be at least 1"),
    ("unknown", {"picture": (1, 3)}, {}, r"--shape: no input is named picture; should be of image"),
    ("type", {}, {"image": np.zeros((1, 8, 8, 1))}, "--inputs: image is float64; input image of .* should be uint8"),
    ("shape", {}, {"image": np.zeros((1, 8, 9, 1), np.uint8)}, r"but \(1, 8, 9, 1\) is given"),
    ("empty", {}, {"image": np.zeros((0, 8, 8, 1), np.uint8)}, r"image has shape \(0, 8, 8, 1\); it should hold"),
    ("unknown array", {}, {"picture": np.zeros(3)}, r"--inputs .*x.npz: no input is named picture; should be of image"),
    ("pickle", {}, {"image": np.array([Unwelcome()])}, "x.npz: image: holds Python objects, which are never unpickled"),
    (
        "two shapes",
        {"image": (2, 8, 8, 1)},
        {"image": np.zeros((1, 8, 8, 1), np.uint8)},
        r"--shape image: is \(2, 8, 8, 1\), in --inputs it is \(1, 8, 8, 1\); give one",
    ),
]


@pytest.mark.parametrize(
    ("shapes", "arrays", "expected"), [row[1:] for row in MISFITS], ids=[row[0] for row in MISFITS]
)
def test_what_does_not_fit_is_named_with_what_is_wanted_and_given(
    shapes: dict[str, Any],
    arrays: dict[str, Any],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)

    with pytest.raises(BadInputError, match=expected) as error:
        feed(write_model(tmp_path / "m.onnx"), Given(shapes, str(tmp_path / "x.npz")))

    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""
