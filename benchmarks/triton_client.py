"""Checks with Triton's own client that `python -m compress serve` follows the protocol.

    python -m compress serve exported/digits --port 8080
    pip install 'tritonclient[http]' onnxruntime       # in a separate environment; this file needs nothing else
    python benchmarks/triton_client.py exported/digits 127.0.0.1:8080

Requests health, metadata and configuration, infers with JSON and binary tensors in both directions, compares every bit
with onnxruntime on one thread, and sends wrong names, shapes and types. Prints a line per check.
"""

from __future__ import annotations

import itertools
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

LENGTH = "Inference-Header-Content-Length"
OUTPUTS = ("logits", "probabilities")
Checks = Iterator[tuple[str, bool]]


def main() -> None:
    """Print each check, and how many passed; the exit code is 1 if one failed."""
    bundle, address = Path(sys.argv[1]), sys.argv[2]
    name = json.loads((bundle / "manifest.json").read_bytes())["name"]
    images = np.load(bundle / "golden.npz", allow_pickle=False)["images"]
    client = http.InferenceServerClient(address)
    checks = [
        *described(client, name, images),
        *inferred(client, name, images, bundle),
        *posted(f"http://{address}/v2/models/{name}/infer", images),
        *refused(client, name, images),
    ]
    for what, passed in checks:
        print("ok  " if passed else "FAIL", what)
    passes = sum(passed for _, passed in checks)
    print(f"{passes} of {len(checks)} passed")
    sys.exit(passes < len(checks))


def described(client: Any, name: str, images: np.ndarray) -> Checks:
    """Check how the server describes itself and its models."""
    yield "live", client.is_server_live()
    yield "ready", client.is_server_ready()
    yield "server metadata", "binary_tensor_data" in client.get_server_metadata()["extensions"]
    yield "model in the repository", name in [model["name"] for model in client.get_model_repository_index()]
    shape = list(images.shape[1:])
    for version in ("", "1"):
        metadata, config = client.get_model_metadata(name, version), client.get_model_config(name, version)
        tensor = {"name": "image", "datatype": "UINT8", "shape": [-1, *shape]}
        yield f"model ready, version {version!r}", client.is_model_ready(name, version)
        yield f"model metadata, version {version!r}", metadata["inputs"] == [tensor]
        yield f"model config, version {version!r}", config["max_batch_size"] > 0 and config["input"][0]["dims"] == shape
    yield "no other model is ready", not client.is_model_ready("other")
    yield "no other version is ready", not client.is_model_ready(name, "2")


def inferred(client: Any, name: str, images: np.ndarray, bundle: Path) -> Checks:
    """Check outputs bit by bit."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(bundle / "model.onnx", options)
    for count, from_binary, to_binary, version in itertools.product(
        (1, 5, 16), (False, True), (False, True, None), ("", "1")
    ):
        outputs = None if to_binary is None else [http.InferRequestedOutput(output, to_binary) for output in OUTPUTS]
        tensor = tensor_of(images[:count], binary=from_binary)
        answer = client.infer(name, [tensor], version, outputs, request_id="7")
        expected = session.run(OUTPUTS, {"image": images[:count]})
        equal = [
            np.array_equal(answer.as_numpy(output).view(np.uint32), values.view(np.uint32))
            for output, values in zip(OUTPUTS, expected, strict=True)
        ]
        yield (
            f"{count} images, binary in {from_binary}, out {to_binary}, version {version!r}",
            all(equal) and answer.get_response()["id"] == "7",
        )
    for coding in ("gzip", "deflate"):
        for binary in (False, True):
            answer = client.infer(name, [tensor_of(images[:1], binary=binary)], request_compression_algorithm=coding)
            expected = session.run(OUTPUTS, {"image": images[:1]})
            equal = [np.array_equal(answer.as_numpy(output), expected[i]) for i, output in enumerate(OUTPUTS)]
            yield f"packed with {coding}, binary in {binary}", all(equal)
    answer = client.infer(name, [tensor_of(images[:1])], outputs=[http.InferRequestedOutput("logits")])
    yield "one output", answer.as_numpy("logits") is not None and answer.as_numpy("probabilities") is None


def posted(url: str, images: np.ndarray) -> Checks:
    """Check requests that the client does not make: null members, and a body without JSON."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, *images.shape[1:]]}
    plain = {"inputs": [{**tensor, "data": images[0].ravel().tolist()}]}
    null = {"inputs": [{**plain["inputs"][0], "parameters": None}], "id": None, "parameters": None, "outputs": None}
    answers = [json.loads(post(url, json.dumps(body).encode())[1]) for body in (plain, null)]
    yield "null members are absent", answers[0] == answers[1]
    length, body = post(url, images[0].tobytes(), {LENGTH: "0"})
    logits = np.frombuffer(body[int(length) :], np.float32)[: len(answers[0]["outputs"][0]["data"])]
    yield "a body without JSON", np.array_equal(logits, np.float32(answers[0]["outputs"][0]["data"]))


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Return the answer's header with the size of its JSON, and its body."""
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {})) as answer:
        return answer.headers.get(LENGTH, ""), answer.read()


def refused(client: Any, name: str, images: np.ndarray) -> Checks:
    """Check that wrong requests get a client error."""
    image, max_batch = images[:1], client.get_model_config(name)["max_batch_size"]
    too_many = images[np.arange(max_batch + 1) % len(images)]
    for binary in (False, True):
        wrong = {
            "name": [tensor_of(image, "other", binary=binary)],
            "side": [tensor_of(image[:, 1:], binary=binary)],
            "rank": [tensor_of(image[0], binary=binary)],
            "batch of none": [tensor_of(images[:0], binary=binary)],
            "batch too large": [tensor_of(too_many, binary=binary)],
            "type": [tensor_of(image.astype(np.float32), kind="FP32", binary=binary)],
            "integer type": [tensor_of(image.astype(np.int64), kind="INT64", binary=binary)],
            "input twice": [tensor_of(image, binary=binary)] * 2,
            "second input": [tensor_of(image, binary=binary), tensor_of(image, "other", binary=binary)],
        }
        for what, inputs in wrong.items():
            yield f"wrong {what}, binary {binary}", status(client, name, inputs) == "400"
        outputs = [http.InferRequestedOutput("other", binary)]
        yield f"wrong output, binary {binary}", status(client, name, [tensor_of(image)], outputs=outputs) == "400"
    classes = [http.InferRequestedOutput("logits", class_count=3)]
    yield "Triton's classification", status(client, name, [tensor_of(image)], outputs=classes) == "400"
    yield "wrong model", status(client, "other", [tensor_of(image)]) == "404"
    yield "wrong version", status(client, name, [tensor_of(image)], model_version="2") == "404"


def tensor_of(values: np.ndarray, name: str = "image", kind: str = "UINT8", binary: bool = True) -> Any:
    """Return values as an input for the client."""
    tensor = http.InferInput(name, list(values.shape), kind)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def status(client: Any, name: str, inputs: list[Any], **options: Any) -> str:
    """Return the HTTP status of a request that should be refused."""
    try:
        client.infer(name, inputs, **options)
    except InferenceServerException as error:
        return error.status()
    return "200"


if __name__ == "__main__":
    main()
