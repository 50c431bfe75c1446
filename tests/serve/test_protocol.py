from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from compress.serve.limits import Refused
from compress.serve.protocol import JSON_LENGTH, Query, read_request, write_answer

SHAPE = (2, 2, 1)
VALUES = [0, 1, 254, 255, 4, 5, 6, 7]
IMAGE = {"name": "image", "datatype": "UINT8", "shape": [2, 2, 2, 1]}


def read(body: bytes, json_length: str | None = None) -> Query:
    return read_request(body, json_length, SHAPE, max_images=3)


def text(image: dict[str, Any] | None = None, **others: Any) -> bytes:
    return json.dumps({"inputs": [{**IMAGE, "data": VALUES} if image is None else image], **others}).encode()


def binary(size: Any, **others: Any) -> bytes:
    return text({**IMAGE, "parameters": {"binary_data_size": size}}, **others)


@pytest.mark.parametrize("data", [VALUES, np.reshape(VALUES, (2, 2, 2, 1)).tolist()], ids=["flat", "nested"])
def test_numbers_in_json_are_read_row_by_row(data: list[Any]) -> None:
    asked = read(text({**IMAGE, "data": data}))

    assert asked.pixels.dtype == np.uint8
    assert asked.pixels.tolist() == np.reshape(VALUES, (2, 2, 2, 1)).tolist()
    assert asked.outputs == {"logits": False, "probabilities": False}


def test_bytes_after_the_json_are_the_tensor() -> None:
    head = binary(8, parameters={"binary_data_output": True, "priority": 3})

    asked = read(head + bytes(VALUES), str(len(head)))

    assert asked.pixels.ravel().tolist() == VALUES
    assert asked.outputs == {"logits": True, "probabilities": True}


NULL = {
    "id": text(id=None),
    "parameters": text(parameters=None),
    "outputs": text(outputs=None),
    "parameters.binary_data_output": text(parameters={"binary_data_output": None}),
    "inputs.parameters": text({**IMAGE, "data": VALUES, "parameters": None}),
    "inputs.parameters.binary_data_size": text({**IMAGE, "data": VALUES, "parameters": {"binary_data_size": None}}),
    "inputs.parameters.shared_memory": text({**IMAGE, "data": VALUES, "parameters": {"shared_memory_region": None}}),
    "outputs.parameters": text(outputs=[{"name": name, "parameters": None} for name in ("logits", "probabilities")]),
    "outputs.parameters.each": text(
        outputs=[
            {"name": name, "parameters": dict.fromkeys(("binary_data", "classification", "shared_memory_region"))}
            for name in ("logits", "probabilities")
        ]
    ),
}


@pytest.mark.parametrize("member", NULL)
def test_an_optional_member_that_is_null_is_absent(member: str) -> None:
    asked = read(NULL[member])

    assert asked.id is None
    assert asked.pixels.ravel().tolist() == VALUES
    assert asked.outputs == {"logits": False, "probabilities": False}


def test_data_null_with_bytes_behind_is_absent() -> None:
    head = text({**IMAGE, "data": None, "parameters": {"binary_data_size": 8}})

    assert read(head + bytes(VALUES), str(len(head))).pixels.ravel().tolist() == VALUES


def test_a_body_without_json_is_one_image() -> None:
    asked = read(bytes(VALUES[:4]), "0")

    assert asked.pixels.tolist() == np.reshape(VALUES[:4], (1, 2, 2, 1)).tolist()
    assert asked.outputs == {"logits": True, "probabilities": True}


def test_an_output_says_for_itself_how_it_comes() -> None:
    outputs = [{"name": "probabilities", "parameters": {"binary_data": False}}, {"name": "logits"}]

    asked = read(text(outputs=outputs, id="7", parameters={"binary_data_output": True}))

    assert list(asked.outputs.items()) == [("probabilities", False), ("logits", True)]
    assert asked.id == "7"


def test_an_answer_has_its_binary_tensors_behind_its_json_in_their_order() -> None:
    outputs = {name: np.array([[0.1, -0.0]], np.float32) for name in ("logits", "probabilities")}

    body, headers = write_answer("m", Query("\ud800", np.zeros(0), {"probabilities": True, "logits": False}), outputs)

    length = int(headers[JSON_LENGTH])
    answer = json.loads(body[:length])
    assert answer["id"] == "\ud800"
    assert answer["outputs"][0] == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [1, 2],
        "parameters": {"binary_data_size": 8},
    }
    assert body[length:] == outputs["probabilities"].tobytes()
    assert np.float32(answer["outputs"][1]["data"]).tobytes() == outputs["logits"].tobytes()


HEAD = binary(8)
SIZED = bytes(VALUES)
BAD: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "Invalid JSON"),
    "no JSON": (b"\xff\xfe", None, "Invalid JSON"),
    "UTF-16": (text().decode().encode("utf-16"), None, "Invalid JSON"),
    "a list": (b"[]", None, "should be an object"),
    "nested without end": (b"[" * 60_000, None, "Invalid JSON"),
    "nested data without end": (text()[:-3] + b"[" * 50_000, None, "Invalid JSON"),
    "no inputs": (b"{}", None, "inputs: Field required"),
    "inputs null": (b'{"inputs": null}', None, "inputs"),
    "two inputs": (json.dumps({"inputs": [{**IMAGE, "data": VALUES}] * 2}).encode(), None, "should be ['image']"),
    "another name": (text({**IMAGE, "name": "x", "data": VALUES}), None, "should be ['image']"),
    "name that is none": (text({**IMAGE, "name": 3, "data": VALUES}), None, "inputs.0.name"),
    "many wrong inputs": (
        json.dumps({"inputs": [0] * 10_000}).encode(),
        None,
        "inputs: List should",
    ),
    "a shape of many wrong sides": (text({**IMAGE, "shape": [""] * 10_000}), None, "inputs.0.shape: List should have"),
    "another type": (text({**IMAGE, "datatype": "FP32", "data": VALUES}), None, "should be 'UINT8'"),
    "type in small letters": (text({**IMAGE, "datatype": "uint8", "data": VALUES}), None, "should be 'UINT8'"),
    "no shape": (text({"name": "image", "datatype": "UINT8", "data": VALUES}), None, "inputs.0.shape"),
    "shape empty": (text({**IMAGE, "shape": [], "data": VALUES}), None, "shape is []"),
    "shape without batch": (text({**IMAGE, "shape": [2, 2, 1], "data": VALUES[:4]}), None, "shape is [2, 2, 1]"),
    "shape of text": (text({**IMAGE, "shape": ["2", 2, 2, 1], "data": VALUES}), None, "inputs.0.shape.0"),
    "shape of fractions": (text({**IMAGE, "shape": [2.0, 2, 2, 1], "data": VALUES}), None, "inputs.0.shape.0"),
    "shape of truth": (text({**IMAGE, "shape": [True, 2, 2, 1], "data": VALUES[:4]}), None, "inputs.0.shape.0"),
    "no image": (text({**IMAGE, "shape": [0, 2, 2, 1], "data": []}), None, "should be [1 to 3, 2, 2, 1]"),
    "fewer than no images": (text({**IMAGE, "shape": [-2, 2, 2, 1], "data": VALUES}), None, "should be [1 to 3,"),
    "negative sides": (text({**IMAGE, "shape": [2, -2, -2, 1], "data": VALUES}), None, "should be [1 to 3,"),
    "too many images": (text({**IMAGE, "shape": [4, 2, 2, 1], "data": VALUES * 2}), None, "should be [1 to 3,"),
    "a product that overflows": (text({**IMAGE, "shape": [2**62, 2, 2, 1], "data": VALUES}), None, "[1 to 3,"),
    "a dimension of 30 digits": (text({**IMAGE, "shape": [10**30, 2, 2, 1], "data": VALUES}), None, "[1 to 3,"),
    "too few numbers": (text({**IMAGE, "data": VALUES[:-1]}), None, "should be 8 numbers"),
    "too many numbers": (text({**IMAGE, "data": [*VALUES, 1]}), None, "should be 8 numbers"),
    "nested otherwise": (text({**IMAGE, "data": [VALUES[:4], VALUES[4:]]}), None, "nested like the shape"),
    "nested in part": (text({**IMAGE, "data": [[[[1], [2]], [[3], 4]], 5]}), None, "nested like the shape"),
    "nested too deep": (text({**IMAGE, "data": [[[[[1]]] * 2] * 2] * 2}), None, "integers from 0 to 255"),
    "too large": (text({**IMAGE, "data": [*VALUES[:-1], 256]}), None, "integers from 0 to 255"),
    "negative": (text({**IMAGE, "data": [*VALUES[:-1], -1]}), None, "integers from 0 to 255"),
    "fraction": (text({**IMAGE, "data": [*VALUES[:-1], 1.0]}), None, "integers from 0 to 255"),
    "truth": (text({**IMAGE, "data": [*VALUES[:-1], True]}), None, "integers from 0 to 255"),
    "text": (text({**IMAGE, "data": [*VALUES[:-1], "1"]}), None, "integers from 0 to 255"),
    "null": (text({**IMAGE, "data": [*VALUES[:-1], None]}), None, "integers from 0 to 255"),
    "not a number": (text({**IMAGE, "data": [*VALUES[:-1], float("nan")]}), None, "integers from 0 to 255"),
    "a number of 5,000 digits": (text().replace(b"254", b"9" * 5000), None, "Invalid JSON"),
    "data that is no list": (text({**IMAGE, "data": "AAAA"}), None, "inputs.0.data"),
    "neither data nor bytes": (text(IMAGE), None, "either data or"),
    "both": (text({**IMAGE, "data": VALUES, "parameters": {"binary_data_size": 8}}), None, "either data or"),
    "data, and bytes behind": (text() + SIZED, str(len(text())), "8 bytes follow"),
    "data, and bytes behind, unsaid": (text() + SIZED, None, "Invalid JSON"),
    "size without bytes": (HEAD, None, "0 bytes follow"),
    "too few bytes": (HEAD + SIZED[:-1], str(len(HEAD)), "7 bytes follow"),
    "too many bytes": (HEAD + SIZED + b"x", str(len(HEAD)), "9 bytes follow"),
    "size of another": (binary(9) + SIZED + b"x", str(len(HEAD)), "binary_data_size is 9"),
    "size that is negative": (binary(-8) + SIZED, str(len(binary(-8))), "binary_data_size"),
    "size that is huge": (binary(2**63) + SIZED, str(len(binary(2**63))), "binary_data_size"),
    "size of text": (binary("8") + SIZED, str(len(binary("8"))), "binary_data_size"),
    "size of truth": (binary(True) + SIZED, str(len(binary(True))), "binary_data_size"),
    "shared memory": (
        text({**IMAGE, "parameters": {"shared_memory_region": "x"}}),
        None,
        "inputs.0.parameters.shared_memory_region: not supported by this server",
    ),
    "length beyond the body": (HEAD + SIZED, str(len(HEAD) + 9), JSON_LENGTH),
    "length within the JSON": (HEAD + SIZED, str(len(HEAD) - 1), "Invalid JSON"),
    "no JSON, and bytes of two images": (SIZED, "0", "8 bytes; should have 4, one image of [2, 2, 1]"),
    "negative length": (HEAD + SIZED, "-1", JSON_LENGTH),
    "length with a sign": (HEAD + SIZED, f"+{len(HEAD)}", JSON_LENGTH),
    "length with blanks": (HEAD + SIZED, f" {len(HEAD)}", JSON_LENGTH),
    "length in other digits": (HEAD + SIZED, "\u0661\u0662", JSON_LENGTH),
    "length of 5,000 digits": (HEAD + SIZED, "1" * 5000, JSON_LENGTH),
    "no such output": (text(outputs=[{"name": "x"}]), None, "outputs: are ['x']"),
    "an output twice": (text(outputs=[{"name": "logits"}] * 2), None, "each once"),
    "output that is none": (text(outputs=["logits"]), None, "outputs.0"),
    "binary that is no truth": (
        text(outputs=[{"name": "logits", "parameters": {"binary_data": 1}}]),
        None,
        "outputs.0.parameters.binary_data",
    ),
    "classification": (
        text(outputs=[{"name": "logits", "parameters": {"classification": 3}}]),
        None,
        "outputs.0.parameters.classification: not supported by this server",
    ),
    "id that is none": (text(id=7), None, "id"),
    "parameters that are none": (text(parameters=[]), None, "parameters"),
    "an error as long as the request": (text({**IMAGE, "name": "x" * 10_000, "data": VALUES}), None, "..."),
}


def test_what_is_not_known_is_ignored() -> None:
    asked = read(text({**IMAGE, "data": VALUES, "note": 1}, parameters={"priority": 3}))

    assert asked.pixels.ravel().tolist() == VALUES


def test_json_longer_than_any_good_request_is_refused_unread() -> None:
    with pytest.raises(Refused, match=r"the JSON has 100,000 bytes; should have 65,\d\d\d at most") as refused:
        read(b" " * 100_000)

    assert refused.value.status == 413


def test_outputs_that_json_cannot_say_are_refused_unless_they_are_binary() -> None:
    outputs = {"logits": np.array([[np.nan, 1]], np.float32)}

    with pytest.raises(Refused, match="not finite") as refused:
        write_answer("m", Query(None, np.zeros(0), {"logits": False}), outputs)

    assert refused.value.status == 500
    assert write_answer("m", Query(None, np.zeros(0), {"logits": True}), outputs)[0].endswith(
        outputs["logits"].tobytes()
    )


@pytest.mark.parametrize("as_binary", [False, True])
def test_probabilities_that_are_not_finite_are_refused_in_any_form(as_binary: bool) -> None:
    """Whoever took the largest of them would have a label."""
    outputs = {"probabilities": np.array([[np.nan, 1]], np.float32)}

    with pytest.raises(Refused, match="probabilities: are not finite") as refused:
        write_answer("m", Query(None, np.zeros(0), {"probabilities": as_binary}), outputs)

    assert refused.value.status == 500


def test_one_byte_is_not_bytes() -> None:
    with pytest.raises(Refused, match=r"^1 byte follows the JSON, but no input has"):
        read(text({**IMAGE, "data": VALUES}) + b"x", str(len(text({**IMAGE, "data": VALUES}))))
    with pytest.raises(Refused, match="it has 1 byte; should have"):
        read(b"x", "0")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_with_what_is_wrong(name: str) -> None:
    body, json_length, expected = BAD[name]

    with pytest.raises(Refused) as refused:
        read(body, json_length)

    assert refused.value.status == 400
    assert expected in str(refused.value)
    assert len(str(refused.value)) < 400
