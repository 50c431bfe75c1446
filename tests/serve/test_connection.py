from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import uvicorn

from compress.serve.app import build_app
from compress.serve.connection import Connection
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.server import listen

HEADER_SECONDS = 0.3
HEALTH = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server without models that waits `HEADER_SECONDS` for a header."""
    listening = listen("127.0.0.1", 0)
    number = listening.getsockname()[1]
    connection = partial(Connection, header_seconds=HEADER_SECONDS)
    config = uvicorn.Config(
        build_app({}, Limits(), Metrics()),
        http=connection,  # type: ignore[arg-type]
        loop="asyncio",
        lifespan="off",
        log_level="error",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield number
    server.should_exit = True
    thread.join()


def all_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(10_000), b""))


NEVER_ENDING = {
    "the first header": b"GET /v2 HTTP/1.1\r\nHost: x\r\n",
    "a byte": b"G",
    "the second header": HEALTH + b"GET /v2 HTTP/1.1\r\n",
}


@pytest.mark.parametrize("name", NEVER_ENDING)
def test_a_client_that_never_ends_its_header_is_cut_off(name: str, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(NEVER_ENDING[name])
        answer = all_of(client)

    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
    assert b"the header has not arrived within 0.3 seconds" in answer


def test_a_client_that_sends_its_header_byte_by_byte_is_cut_off(port: int) -> None:
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.settimeout(0.05)
        answer = b""
        while b"408" not in answer and time.monotonic() - start < 20:
            client.sendall(b"G")
            try:
                answer = client.recv(1000)
            except TimeoutError:
                continue

    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer


def test_a_client_that_sends_nothing_is_closed_without_a_word(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        assert all_of(client) == b""


def test_a_connection_between_requests_is_left_open(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        for _ in range(2):
            client.sendall(HEALTH)
            answer = b""
            while b'{"live": true}' not in answer:
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            time.sleep(2 * HEADER_SECONDS)


def test_an_answer_that_ends_a_connection_is_not_lost_with_what_the_client_still_sends(port: int) -> None:
    head = b"POST /v2/models/none/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head + bytes(1000))
        time.sleep(0.1)  # the answer is under way
        client.sendall(bytes(100_000))
        answer = all_of(client)

    assert answer.startswith(b"HTTP/1.1 404")
    assert b"there is no model" in answer
