"""Whether Triton's own client gets from `python -m compress serve` what the protocol promises.

    python -m compress serve exported/digits --port 8080
    pip install 'tritonclient[http]' onnxruntime       # in an environment of its own; this file needs nothing else
    python benchmarks/triton_client.py exported/digits 127.0.0.1:8080

Asks for health, metadata and configuration, infers with JSON and binary tensors in both directions, compares every bit
with what onnxruntime gives on one thread, and sends wrong names, shapes and types. Prints a line for each check.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

OUTPUTS = ("logits", "probabilities")
Checks = Iterator[tuple[str, bool]]


def main() -> None:
    """Print each check, and how many passed; the exit code is 1 where one failed."""
    bundle, address = Path(sys.argv[1]), sys.argv[2]
    name = json.loads((bundle / "manifest.json").read_bytes())["name"]
    images = np.load(bundle / "golden.npz", allow_pickle=False)["images"]
    client = http.InferenceServerClient(address)
    checks = [*said(client, name, images), *inferred(client, name, images, bundle), *refused(client, name, images)]
    for what, passed in checks:
        print("ok  " if passed else "FAIL", what)
    good = sum(passed for _, passed in checks)
    print(f"{good} of {len(checks)} passed")
    sys.exit(good < len(checks))


def said(client: Any, name: str, images: np.ndarray) -> Checks:
    """Check what the server says of itself."""
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
    """Check outputs, bit by bit."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession((bundle / "model.onnx").read_bytes(), options)
    for count, from_binary, to_binary, version in itertools.product(
        (1, 5, 16), (False, True), (False, True, None), ("", "1")
    ):
        asked = None if to_binary is None else [http.InferRequestedOutput(output, to_binary) for output in OUTPUTS]
        tensor = tensor_of(images[:count], binary=from_binary)
        answer = client.infer(name, [tensor], version, asked, request_id="7")
        right = session.run(OUTPUTS, {"image": images[:count]})
        equal = [
            np.array_equal(answer.as_numpy(output).view(np.uint32), values.view(np.uint32))
            for output, values in zip(OUTPUTS, right, strict=True)
        ]
        yield (
            f"{count} images, binary in {from_binary}, out {to_binary}, version {version!r}",
            all(equal) and answer.get_response()["id"] == "7",
        )
    answer = client.infer(name, [tensor_of(images[:1])], outputs=[http.InferRequestedOutput("logits")])
    yield "one output", answer.as_numpy("logits") is not None and answer.as_numpy("probabilities") is None


def refused(client: Any, name: str, images: np.ndarray) -> Checks:
    """Check that what is wrong gets a client error."""
    one, max_images = images[:1], client.get_model_config(name)["max_batch_size"]
    more = images[np.arange(max_images + 1) % len(images)]
    for binary in (False, True):
        wrong = {
            "name": [tensor_of(one, "other", binary=binary)],
            "side": [tensor_of(one[:, 1:], binary=binary)],
            "rank": [tensor_of(one[0], binary=binary)],
            "batch of none": [tensor_of(images[:0], binary=binary)],
            "batch too large": [tensor_of(more, binary=binary)],
            "type": [tensor_of(one.astype(np.float32), kind="FP32", binary=binary)],
            "integer type": [tensor_of(one.astype(np.int64), kind="INT64", binary=binary)],
            "input twice": [tensor_of(one, binary=binary)] * 2,
            "second input": [tensor_of(one, binary=binary), tensor_of(one, "other", binary=binary)],
        }
        for what, inputs in wrong.items():
            yield f"wrong {what}, binary {binary}", status(client, name, inputs) == "400"
        asked = [http.InferRequestedOutput("other", binary)]
        yield f"wrong output, binary {binary}", status(client, name, [tensor_of(one)], outputs=asked) == "400"
    classes = [http.InferRequestedOutput("logits", class_count=3)]
    yield "Triton's classification", status(client, name, [tensor_of(one)], outputs=classes) == "400"
    yield "wrong model", status(client, "other", [tensor_of(one)]) == "404"
    yield "wrong version", status(client, name, [tensor_of(one)], model_version="2") == "404"
    yield "packed", status(client, name, [tensor_of(one)], request_compression_algorithm="gzip") == "415"


def tensor_of(values: np.ndarray, name: str = "image", kind: str = "UINT8", binary: bool = True) -> Any:
    """Return an input for the client."""
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
