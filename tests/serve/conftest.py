from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from compress.arrays import load_arrays
from compress.serve.protocol import JSON_LENGTH
from tests.conftest import REPOSITORY, Run

LIMITS = {"--batch": "8", "--bytes": "100000", "--deadline": "2", "--queue": "16"}
INFER, CLASSIFY = "/v2/models/digits/infer", "/v2/models/digits/classify"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    said: list[str]
    port: int

    def ask(self, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}, method: str = "") -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def request_of(images: np.ndarray, as_binary: bool, outputs: list[str] | None = None) -> tuple[bytes, dict[str, str]]:
    """Return a request's body and headers, in JSON or in binary both ways."""
    tensor: dict[str, Any] = {"name": "image", "datatype": "UINT8", "shape": list(images.shape)}
    tensor |= {"parameters": {"binary_data_size": images.size}} if as_binary else {"data": images.tolist()}
    asked: dict[str, Any] = {"inputs": [tensor], "parameters": {"binary_data_output": as_binary}}
    if outputs:
        asked["outputs"] = [{"name": name} for name in outputs]
    text = json.dumps(asked).encode()
    return (text + images.tobytes(), {JSON_LENGTH: str(len(text))}) if as_binary else (text, {})


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "png")
    return file.getvalue()


@contextmanager
def serving(*arguments: str, cwd: Path) -> Iterator[Server]:
    """Run the command on a free port; it has said where it listens when this begins."""
    process = subprocess.Popen(
        [sys.executable, "-m", "compress", "serve", "--port", "0", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said: list[str] = []
        while not said or not said[-1].startswith("http://"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said.append(line.rstrip())
        yield Server(process, said, int(said[-1].rpartition(":")[2]))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def served(tiny_run: Run) -> Iterator[Server]:
    """The bundle of the tiny run, served with low limits, for all tests that only ask."""
    options = [part for pair in LIMITS.items() for part in pair]
    with serving(str(tiny_run.bundle), *options, cwd=tiny_run.folder) as server:
        yield server
        server.process.terminate()
        assert server.process.communicate() == ("", "")  # nothing that was asked led to a traceback


@pytest.fixture(scope="session")
def images(tiny_run: Run) -> np.ndarray:
    """The golden images, `(16, 32, 32, 1) uint8`."""
    return load_arrays(tiny_run.bundle / "golden.npz")["images"]


@pytest.fixture(scope="session")
def expected(tiny_run: Run) -> Any:
    """What onnxruntime itself gives for images, as `{name: values}`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(tiny_run.bundle / "model.onnx", options)
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"image": images}), strict=True))
