from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from starlette.types import Message

import compress
from compress.serve.app import build_app
from compress.serve.batching import Batcher
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.models import Model
from compress.serve.protocol import JSON_LENGTH
from tests.conftest import Run
from tests.serve.conftest import CLASSIFY, INFER, LIMITS, Server, png, request_of


def outputs_of(answer: Any) -> dict[str, np.ndarray]:
    length = int(answer.headers.get(JSON_LENGTH, len(answer.body)))
    outputs, rest = {}, answer.body[length:]
    for output in json.loads(answer.body[:length])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        values = np.frombuffer(rest[:size], "<f4") if size else np.float32(output["data"])
        outputs[output["name"]] = values.reshape(output["shape"])
        rest = rest[size:]
    assert not rest
    return outputs


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("as_binary", [False, True], ids=["json", "binary"])
def test_outputs_are_bit_equal_to_onnxruntime(
    as_binary: bool, count: int, served: Server, images: np.ndarray, expected: Any
) -> None:
    answer = served.ask(INFER, *request_of(images[:count], as_binary))

    assert answer.status == 200
    right = expected(images[:count])
    assert {name: values.tobytes() for name, values in outputs_of(answer).items()} == {
        name: values.tobytes() for name, values in right.items()
    }


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "x-gzip": gzip.compress,
    " gzip , identity": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "deflate,gzip": lambda body: gzip.compress(zlib.compress(body)),
    "Identity": lambda body: body,
    "gzip,": lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]),
}


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("as_binary", [False, True], ids=["json", "binary"])
def test_a_packed_body_is_answered_as_the_plain_one(
    as_binary: bool, coding: str, served: Server, images: np.ndarray
) -> None:
    body, headers = request_of(images[:1], as_binary)

    answer = served.ask(INFER, PACKED[coding](body), {**headers, "Content-Encoding": coding})

    assert answer.status == 200
    assert answer.body == served.ask(INFER, body, headers).body


def test_a_body_without_json_is_an_image_and_its_outputs_are_binary(
    served: Server, images: np.ndarray, expected: Any
) -> None:
    answer = served.ask(INFER, images[:1].tobytes(), {JSON_LENGTH.lower(): "0"})

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert outputs_of(answer)["logits"].tobytes() == expected(images[:1])["logits"].tobytes()


def test_only_outputs_that_are_asked_for_are_given(served: Server, images: np.ndarray) -> None:
    answer = served.ask(f"{INFER.replace('/infer', '/versions/1/infer')}", *request_of(images[:1], True, ["logits"]))

    assert list(outputs_of(answer)) == ["logits"]


def test_classify_answers_as_predict(tiny_run: Run, served: Server, images: np.ndarray) -> None:
    image = png(images[3])

    answer = served.ask(f"{CLASSIFY}?top=3", image)

    [prediction] = compress.load(tiny_run.bundle, threads=1).predict([image], top=3)
    assert answer.status == 200
    assert answer.json["label"] == prediction.label
    assert [(row["label"], row["probability"]) for row in answer.json["top"]] == list(prediction.top)
    assert answer.json["milliseconds"] > 0


def test_the_server_says_what_it_has(served: Server) -> None:
    metadata = served.ask("/v2/models/digits").json

    assert served.ask("/v2").json["name"] == "compress"
    assert served.ask("/v2/health/live").json == {"live": True}
    assert served.ask("/v2/health/ready").json == {"ready": True}
    assert served.ask("/v2/models/digits/versions/1/ready").json == {"name": "digits", "ready": True}
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 32, 32, 1]}]
    assert [output["shape"] for output in metadata["outputs"]] == [[-1, 10], [-1, 10]]
    assert served.ask("/v2/models/digits/config").json["max_batch_size"] == 8
    assert served.ask("/v2/repository/index", b"").json == [{"name": "digits", "version": "1", "state": "READY"}]


def test_the_page_may_ask_nobody_but_the_server(served: Server) -> None:
    answer = served.ask("/")

    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert b"://" not in answer.body


FORM = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\npng\r\n--x--\r\n'
REFUSED: dict[str, tuple[str, bytes | None, dict[str, str], int, str]] = {
    "no such page": ("/v3", None, {}, 404, "Not Found"),
    "no such model": ("/v2/models/none", None, {}, 404, "there is digits"),
    "no such model to ask": ("/v2/models/none/infer", b"{}", {}, 404, "there is digits"),
    "no such version": ("/v2/models/digits/versions/2/infer", b"{}", {}, 404, "it has 1"),
    "model of a name that is no text": ("/v2/models/%ff%00/ready", None, {}, 404, "there is digits"),
    "another method": (INFER, None, {}, 405, "Method Not Allowed"),
    "no JSON": (INFER, b"hello", {}, 400, "Invalid JSON"),
    "half a surrogate pair": (INFER, b'{"inputs": [], "\\ud800": 1, "id": "\\ud800"}', {}, 400, "Invalid JSON"),
    "length that is none": (INFER, b"{}", {JSON_LENGTH: "two"}, 400, JSON_LENGTH),
    "too many bytes": (INFER, b"x" * 100_001, {}, 413, "100,000 bytes at most"),
    "too many bytes, unannounced": (INFER, b"x" * 100_001, {"Transfer-Encoding": "chunked"}, 413, "100,000 bytes"),
    "packed by another": (INFER, b"{}", {"Content-Encoding": "br"}, 415, "should be gzip, deflate or none"),
    "packed too often": (INFER, b"{}", {"Content-Encoding": "gzip, " * 5}, 415, "should be gzip, deflate or none"),
    "not packed": (INFER, b"{}", {"Content-Encoding": "gzip"}, 400, "the body is not gzip"),
    "packed and cut short": (INFER, gzip.compress(b"{}")[:-1], {"Content-Encoding": "gzip"}, 400, "cut short"),
    "no packed bytes": (INFER, b"", {"Content-Encoding": "deflate"}, 400, "cut short"),
    "bytes behind a packed body": (
        INFER,
        zlib.compress(b"{}") + b"x",
        {"Content-Encoding": "deflate"},
        400,
        "1 byte too many",
    ),
    "a bomb": (INFER, gzip.compress(bytes(60_000_000)), {"Content-Encoding": "gzip"}, 413, "100,000 bytes at most"),
    "a bomb of many members": (
        INFER,
        gzip.compress(bytes(60_000)) * 2,
        {"Content-Encoding": "gzip"},
        413,
        "100,000 bytes at most",
    ),
    "a form for classify": (CLASSIFY, FORM, {"Content-Type": "Multipart/Form-Data; boundary=x"}, 400, "--data-binary"),
    "a form for infer": (
        INFER,
        b"image=%40x",
        {"Content-Type": "application/x-www-form-urlencoded"},
        400,
        "--data-binary",
    ),
    "statistics": ("/v2/models/digits/stats", None, {}, 404, "not supported by this server"),
    "loading": ("/v2/repository/models/digits/load", b"", {}, 404, "not supported by this server"),
    "no image": (CLASSIFY, b"hello", {}, 400, "is not one of JPEG, PNG"),
    "no bytes": (CLASSIFY, b"", {}, 400, "is empty"),
    "an image cut short": (CLASSIFY, png(np.zeros((99, 99, 1), np.uint8))[:-30], {}, 400, "cannot be decoded"),
    "no label": (f"{CLASSIFY}?top=0", b"x", {}, 400, "top"),
    "labels that are no number": (f"{CLASSIFY}?top=-1", b"x", {}, 400, "top"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused_with_a_reason(name: str, served: Server) -> None:
    path, body, headers, status, expected = REFUSED[name]
    if "Transfer-Encoding" in headers and body is not None:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    answer = served.ask(path, body, headers)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert expected in answer.json["error"]


RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "header without end": b"GET /v2 HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000,
    "negative length": b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length of 30 digits": b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: "
    + b"9" * 30
    + b"\r\n\r\n",
    "two lengths": b"POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length and chunks": b"POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
    "chunk of no size": b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a body that does not come": b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    "control characters": b"GET /\x00\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_request_is_a_client_error_and_the_server_goes_on(name: str, served: Server) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(RAW[name])
        answer = connection.recv(1000)

    assert answer.startswith(b"HTTP/1.1 4")
    assert served.ask("/v2/health/live").status == 200


def test_a_full_queue_is_refused_at_once_and_what_was_accepted_is_answered(served: Server, images: np.ndarray) -> None:
    request, headers = request_of(images[:1], True)
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request)}\r\n"
    head += f"{JSON_LENGTH}: {headers[JSON_LENGTH]}\r\n\r\n"
    with ExitStack() as open_ones:
        accepted = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30))
            for _ in range(int(LIMITS["--queue"]))
        ]
        for connection in accepted:
            connection.sendall(head.encode() + request[:9])
        served.ask("/v2/health/live")  # the server has seen those before

        refused = served.ask(INFER, request, headers)
        for connection in accepted:
            connection.sendall(request[9:])
        answers = [connection.recv(15) for connection in accepted]

    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"
    assert "busy" in refused.json["error"]
    assert answers == [b"HTTP/1.1 200 OK"] * len(accepted)


def test_a_client_that_goes_away_leaves_its_place(served: Server, images: np.ndarray) -> None:
    for _ in range(2 * int(LIMITS["--queue"])):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{" % INFER.encode())
        served.ask("/v2/health/live")  # the server has seen that one go

    assert served.ask(INFER, *request_of(images[:1], True)).status == 200


def test_a_server_that_stops_is_alive_and_not_ready() -> None:
    app = build_app({}, Limits(), Metrics(), stopping=lambda: True)

    async def status(path: str) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        await app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
        return sent[0]["status"]

    assert asyncio.run(status("/v2/health/live")) == 200
    assert asyncio.run(status("/v2/health/ready")) == 503


@pytest.mark.parametrize("target", ["http://example.com/v2", "HTTP://127.0.0.1:1/v2?a=b", "https://[::1]/v2"])
def test_a_request_for_a_whole_url_is_answered_like_one_for_its_path(target: str, served: Server) -> None:
    answer = served.ask(target)

    assert (answer.status, answer.body) == (200, served.ask("/v2").body)


def test_a_request_for_a_url_without_a_path_gets_the_page(served: Server) -> None:
    assert served.ask("http://example.com").body == served.ask("/").body


def test_classify_never_answers_with_probabilities_that_are_not_finite(tiny_run: Run, images: np.ndarray) -> None:
    limits, metrics = Limits(), Metrics()
    classifier = compress.load(tiny_run.bundle)

    def run(names: Sequence[str], pixels: np.ndarray) -> list[np.ndarray]:
        return [np.full((len(pixels), 10), np.nan, np.float32) for _ in names]

    model = Model(classifier, Batcher(run, limits, metrics.of_model("digits")), limits)
    app = build_app({"digits": model}, limits, metrics)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": png(images[0])}

    scope = {"type": "http", "method": "POST", "path": CLASSIFY, "query_string": b"", "headers": []}

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())

    assert sent[0]["status"] == 500
    assert "not finite" in json.loads(sent[1]["body"])["error"]


def test_clients_at_once_get_their_own_answers(served: Server, images: np.ndarray, expected: Any) -> None:
    right = expected(images)["logits"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: served.ask(INFER, *request_of(images[i : i + 1], True)), range(16)))

    for i, answer in enumerate(answers):  # rows of a batch may differ in their last bits from a batch of one
        np.testing.assert_allclose(outputs_of(answer)["logits"][0], right[i], rtol=1e-4, atol=1e-5)


def test_metrics_count_what_was_answered(served: Server, images: np.ndarray) -> None:
    served.ask(INFER, *request_of(images[:3], True))
    served.ask("/v2/models/none/infer", b"{}")

    text = served.ask("/metrics").body.decode()

    assert 'compress_requests_total{endpoint="infer",model="digits",status="200"}' in text
    assert 'compress_requests_total{endpoint="infer",model="",status="404"}' in text
    for name in ("compress_queue_requests", "compress_batch_images_bucket", "compress_inference_seconds_sum"):
        assert f"{name}{{" in text
    assert "none" not in text


def test_limits_are_those_of_the_command(served: Server, images: np.ndarray) -> None:
    answer = served.ask(INFER, *request_of(images[:9], True))

    assert answer.status == 400
    assert f"should be [1 to {LIMITS['--batch']}, 32, 32, 1]" in answer.json["error"]
