"""Measures what `python -m compress serve` gains and costs; server and clients share this machine's cores.

    python benchmarks/serve.py BUNDLE [--variant teacher-fp32] [--seconds 10] [--clients 64] [--malformed 1000]

Serves the bundle, or a copy of it that deploys another of its variants, and prints
- for 64 clients that each send one image and wait: images per second in batches of up to 32 and in batches of 1,
  measured alternately (medians of three), and their ratio;
- for one client: how much longer an answer takes than the same image in ONNX Runtime, measured alternately;
- for 64 clients of a model that holds at most 8 requests: how many were answered 200 and 503, and how fast;
- for malformed and oversized requests: how they were answered, and the server's memory before and after.

Clients are threads of two processes, keep their connections open, and send binary tensors.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

import compress
from compress.bundle.contents import MANIFEST, MODEL, SUMS
from compress.bundle.manifest import manifest_text, read_manifest
from compress.bundle.write import sums
from compress.files import sha256_file
from compress.serve.limits import Limits
from compress.serve.protocol import JSON_LENGTH

PROCESSES = 2
TURNS = 3
FEW = 8  # requests that a model may hold in the overload
NO_ANSWER = "none"

Answers = list[tuple[str, float]]  # status, seconds


def main() -> None:
    """Print the four measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--variant")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--malformed", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        bundle = arguments.bundle
        if arguments.variant:
            bundle = deploying(arguments.variant, bundle, Path(temporary) / "bundle")
        manifest = read_manifest(bundle)
        name, shape = manifest["name"], manifest["input"]["shape"][1:]
        print(f"{name}, {manifest['deployed']}, {'x'.join(map(str, shape))}", flush=True)
        request = infer_request(name, shape)
        throughput(bundle, request, arguments.clients, arguments.seconds)
        overhead(bundle, request, arguments.seconds)
        overload(bundle, request, arguments.clients, arguments.seconds)
        malformed(bundle, name, shape, arguments.malformed)


def throughput(bundle: Path, request: bytes, clients: int, seconds: float) -> None:
    """Compare batches with single images, alternately, so that other load on the machine affects both alike."""
    with serving(bundle) as batched, serving(bundle, "--batch", "1") as single:
        rates: dict[int, list[float]] = {batched: [], single: []}
        for _ in range(TURNS):
            for port in rates:
                answers = load(port, request, clients, seconds)
                rates[port].append(sum(status == "200" for status, _ in answers) / seconds)
        images = metric(batched, "compress_batch_images_sum") / metric(batched, "compress_batch_images_count")
    together, one_by_one = (statistics.median(rates[port]) for port in (batched, single))
    print(
        f"{clients} clients: {together:.0f} images per second in batches ({images:.1f} images on average), "
        f"{one_by_one:.0f} one by one: {together / one_by_one:.2f}x",
        flush=True,
    )


def overhead(bundle: Path, request: bytes, seconds: float) -> None:
    """Classify the same image with the server and with ONNX Runtime in this process, alternately."""
    classifier = compress.load(bundle, threads=1)
    pixels = np.zeros((1, *classifier.input_shape), np.uint8)
    served, alone = [], []
    with serving(bundle) as port, connected(port) as connection:
        cpu_seconds, end = metric(port, "process_cpu_seconds_total"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            answer_to(connection, request)
            between = time.perf_counter()
            classifier.run(pixels)
            served.append(between - start)
            alone.append(time.perf_counter() - between)
        cpu_seconds = metric(port, "process_cpu_seconds_total") - cpu_seconds
    of_server, of_model = (statistics.median(times) * 1e3 for times in (served, alone))
    print(
        f"1 client: p50 {of_server:.2f} ms, ONNX Runtime alone {of_model:.2f} ms: {of_server - of_model:.2f} ms more "
        f"for HTTP, server and client; the server used {cpu_seconds / len(served) * 1e3:.2f} ms of a core per request "
        f"({len(served)} requests)",
        flush=True,
    )


def overload(bundle: Path, request: bytes, clients: int, seconds: float) -> None:
    """Send more requests than a model may hold."""
    with serving(bundle, "--queue", str(FEW)) as port:
        answers = load(port, request, clients, seconds)
    for status, count in sorted(Counter(status for status, _ in answers).items()):
        times = [seconds * 1e3 for answer, seconds in answers if answer == status]
        print(f"{clients} clients, {FEW} places: {count} answered {status}, p50 {statistics.median(times):.1f} ms")


def malformed(bundle: Path, name: str, shape: list[int], count: int) -> None:
    """Send requests that cannot be answered."""

    def answered(number: int) -> str:
        return answer_once(port, wrong_request(name, shape, number))

    with serving(bundle, "--deadline", "1") as port, ThreadPoolExecutor(8) as pool:
        list(pool.map(answered, range(count // 10)))  # so that the server holds the memory that it keeps for reuse
        before = metric(port, "process_resident_memory_bytes")
        answers = Counter(pool.map(answered, range(count)))
        after = metric(port, "process_resident_memory_bytes")
        alive = answer_once(port, infer_request(name, shape))
    counts = ", ".join(f"{number} {status}" for status, number in sorted(answers.items()))
    print(
        f"{count} malformed or oversized: {counts}; memory {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after; "
        f"a good one then {alive}"
    )


def wrong_request(name: str, shape: list[int], number: int) -> bytes:
    """Return the bytes of a wrong request, of one of many kinds; the same number gives the same request."""
    random = Random(number)
    infer, classify, size = f"/v2/models/{name}/infer", f"/v2/models/{name}/classify", int(np.prod(shape))

    def text(**values: Any) -> bytes:
        return tensor_text({"shape": [1, *shape], "data": [0] * size, **values})

    def binary(claimed: int, length_off: int) -> bytes:
        head = tensor_text({"shape": [1, *shape], "parameters": {"binary_data_size": claimed}})
        return post(infer, head + bytes(size), f"{JSON_LENGTH}: {len(head) + length_off}\r\n")

    shapes = [random.choice([-1, 0, 2, 2**31, 2**63, 10**30]) for _ in range(random.randrange(6))]
    kinds: list[Callable[[], bytes]] = [
        lambda: random.randbytes(random.randrange(1, 2000)) + b"\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * random.randrange(70_000, 300_000),
        lambda: post(f"/{random.randrange(10**9)}", b""),
        lambda: post(infer, random.randbytes(random.randrange(5000))),
        lambda: post(infer, text()[: random.randrange(size)]),
        lambda: post(infer, text(data=[random.choice([256, -1, 1e9, None, "0"])] * size)),
        lambda: post(infer, text(shape=shapes)),
        lambda: post(infer, text(datatype=random.choice(["FP32", "x", 8]))),
        lambda: post(infer, text(shape=[""] * random.randrange(9, 10_000))),
        lambda: post(infer, json.dumps({"inputs": [0] * random.randrange(9, 200_000)}).encode()),
        lambda: post(infer, b"{", length=2),
        lambda: post(infer, b"", length=random.choice([-1, 10**9, 10**19, 10**40])),
        lambda: binary(size, random.choice([-20, -1, 1, 20, 10**9])),
        lambda: binary(size + random.choice([-size, -1, 1, 2**63]), 0),
        lambda: post(classify, b"\x89PNG\r\n\x1a\n" + random.randbytes(random.randrange(5000))),
        lambda: post(classify, bytes(Limits.request_bytes + random.randrange(1, 10**6))),
    ]
    return kinds[number % len(kinds)]()


def infer_request(name: str, shape: list[int]) -> bytes:
    """Return the bytes of a good request for one image."""
    size = int(np.prod(shape))
    text = tensor_text({"shape": [1, *shape], "parameters": {"binary_data_size": size}})
    return post(f"/v2/models/{name}/infer", text + bytes(size), f"{JSON_LENGTH}: {len(text)}\r\n")


def tensor_text(values: dict[str, Any]) -> bytes:
    """Return the JSON of a request with one tensor."""
    tensor = {"name": "image", "datatype": "UINT8", **values}
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()


def post(path: str, body: bytes, headers: str = "", length: int | None = None) -> bytes:
    """Return the bytes of a request; `length` is the one it states, by default the body's."""
    length = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n".encode() + body


def load(port: int, request: bytes, clients: int, seconds: float) -> Answers:
    """Return the answers to clients that each send the next request as soon as they have an answer."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = [pool.submit(load_of_process, port, request, clients // PROCESSES, seconds) for _ in range(PROCESSES)]
        return [answer for part in parts for answer in part.result()]


def load_of_process(port: int, request: bytes, clients: int, seconds: float) -> Answers:
    """Return the answers to the clients of one process."""
    end = time.perf_counter() + seconds

    def client(_: int) -> Answers:
        answers = []
        with connected(port) as connection:
            while (start := time.perf_counter()) < end:
                answers.append((answer_to(connection, request), time.perf_counter() - start))
        return answers

    with ThreadPoolExecutor(clients) as pool:
        return [answer for answers in pool.map(client, range(clients)) for answer in answers]


def answer_to(connection: socket.socket, request: bytes) -> str:
    """Read a whole answer and return its status; `NO_ANSWER` if the connection ends before."""
    with suppress(OSError):  # the server may have refused and closed before everything was sent
        connection.sendall(request)
    try:
        received = b""
        while b"\r\n\r\n" not in received:
            received += (part := connection.recv(65536))
            if not part:
                return NO_ANSWER
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        while len(body) < length:
            body += (part := connection.recv(65536))
            if not part:
                return NO_ANSWER
        return head.split()[1].decode()
    except OSError:
        return NO_ANSWER


def answer_once(port: int, request: bytes) -> str:
    """Return the status of the answer on a new connection."""
    with connected(port) as connection:
        return answer_to(connection, request)


def metric(port: int, name: str) -> float:
    """Return the sum of a metric that the server reports."""
    text = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Open a connection that sends small packets at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


@contextmanager
def serving(bundle: Path, *options: str) -> Iterator[int]:
    """Serve a bundle on a free port, which this yields."""
    command = [sys.executable, "-m", "compress", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = next(line for line in process.stdout if line.startswith("http://"))
        yield int(address.rpartition(":")[2])
    finally:
        process.terminate()
        if process.wait() != 0:
            print(f"the server ended with {process.returncode}")


def deploying(variant: str, bundle: Path, copy: Path) -> Path:
    """Return a copy of a bundle that deploys another of its variants."""
    shutil.copytree(bundle, copy)
    shutil.copyfile(copy / "variants" / f"{variant}.onnx", copy / MODEL)
    manifest = read_manifest(copy)
    manifest["deployed"] = variant
    manifest["files"][MODEL] = {"size": (copy / MODEL).stat().st_size, "sha256": sha256_file(copy / MODEL)}
    (copy / MANIFEST).write_text(manifest_text(manifest), "utf-8")
    digests = {name: file["sha256"] for name, file in manifest["files"].items()}
    (copy / SUMS).write_text(sums(digests | {MANIFEST: sha256_file(copy / MANIFEST)}), "utf-8")
    return copy


if __name__ == "__main__":
    main()
