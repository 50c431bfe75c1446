from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from compress.errors import MachineError
from compress.serve.server import listen
from tests.conftest import REPOSITORY, Run, run_main
from tests.serve.conftest import CLASSIFY, Server, png, serving


def test_a_server_says_what_it_serves_and_where(served: Server, tiny_run: Run) -> None:
    assert served.said == [
        f"digits: {tiny_run.bundle}, 32x32x1 pixels to 10 labels",
        f"http://127.0.0.1:{served.port}",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_told_to_stop_it_takes_no_more_and_answers_what_it_took(tiny_run: Run, images: np.ndarray) -> None:
    image = png(images[0])
    with serving(str(tiny_run.bundle), cwd=tiny_run.folder) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as taken:
            head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(image)}\r\n\r\n"
            taken.sendall(head.encode() + image[:9])
            server.ask("/v2/health/live")  # the server has seen the one before
            server.process.send_signal(signal.SIGTERM)
            assert is_closed(server.port)

            taken.sendall(image[9:])
            answer = taken.recv(10_000)

        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(10) == 0
        assert server.process.communicate() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_while_it_drains_it_is_not_ready_and_answers_new_connections_once(tiny_run: Run, images: np.ndarray) -> None:
    with serving(str(tiny_run.bundle), "--drain", "3", cwd=tiny_run.folder) as server:
        server.process.send_signal(signal.SIGTERM)
        answers = [server.ask("/v2/health/ready")]
        while answers[-1].status == 200:  # the signal is on its way
            answers.append(server.ask("/v2/health/ready"))
        classified = server.ask(CLASSIFY, png(images[0]))

        assert answers[-1].status == 503
        assert classified.status == 200
        assert classified.headers["Connection"] == "close"
        assert is_closed(server.port)
        assert server.process.wait(10) == 0
        assert server.process.communicate() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("drain", ["0", "0.5"])
def test_told_to_stop_it_resets_no_client(drain: str, tiny_run: Run, images: np.ndarray) -> None:
    image = png(images[0])
    statuses: list[int] = []

    def ask_until_refused(port: int) -> None:
        while True:
            client = HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                client.connect()
            except ConnectionRefusedError:
                return
            while client.sock:  # it is closed by an answer with Connection: close
                client.request("POST", CLASSIFY, image)
                answer = client.getresponse()
                answer.read()
                statuses.append(answer.status)

    with serving(str(tiny_run.bundle), "--drain", drain, cwd=tiny_run.folder) as server, ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(ask_until_refused, server.port) for _ in range(6)]
        while len(statuses) < 60 and not any(client.done() for client in clients):
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.result()

        assert set(statuses) == {200}
        assert server.process.wait(20) == 0
        assert server.process.communicate() == ("", "")


def test_bundles_are_served_under_other_names_to_pages_of_other_origins(tiny_run: Run) -> None:
    bundles = [str(tiny_run.bundle)] * 2
    options = ["--name", "digits-1", "--name", "digits-2", "--origin", "https://example.com", "--keep-alive", "1"]
    origin = {"Origin": "https://example.com"}
    with serving(*bundles, *options, cwd=tiny_run.folder) as server:
        names = [model["name"] for model in server.ask("/v2/repository/index").json]
        allowed, other = (
            server.ask("/v2/models/digits-2", headers={"Origin": text}).headers["Access-Control-Allow-Origin"]
            for text in ("https://example.com", "https://example.org")
        )
        asks_first = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
        preflight = server.ask("/v2/models/digits-1/infer", headers=asks_first, method="OPTIONS")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            start = time.monotonic()
            answer = b"".join(iter(lambda: client.recv(10_000), b""))

    assert names == ["digits-1", "digits-2"]
    assert (allowed, other) == ("https://example.com", None)
    assert preflight.status == 200
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert 0.5 < time.monotonic() - start < 15  # it was kept alive for a second


def test_no_page_of_another_origin_is_allowed_by_default(served: Server) -> None:
    assert "Access-Control-Allow-Origin" not in served.ask("/v2", headers={"Origin": "https://example.com"}).headers


def test_a_port_in_use_gives_one_line_and_exit_code_4(
    served: Server, tiny_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_main(monkeypatch, tiny_run.folder, "serve", str(tiny_run.bundle), "--port", str(served.port))

    said = capsys.readouterr().err
    assert code == 4
    assert said.startswith(f"error: --host 127.0.0.1 --port {served.port}: cannot listen there: ")
    assert said.count("\n") == 1


def test_an_address_of_another_machine_is_an_error_of_this_one() -> None:
    with pytest.raises(MachineError, match=r"--host 192\.0\.2\.1 --port 0: cannot listen there: "):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_name_that_no_host_can_have_is_said_in_one_line(host: str) -> None:
    with pytest.raises(MachineError, match="cannot listen there: "):
        listen(host, 0)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_without_the_extra_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("compress.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    code = run_main(monkeypatch, tmp_path, "serve", "none")

    assert code == 4
    assert capsys.readouterr().err == "error: serve needs uvicorn: pip install 'compress[serve]'\n"


BAD = {
    "two bundles of one name": (["digits", "same"], "same: is named digits, like another bundle"),
    "no bundle": (["none"], "should be a bundle, such as exported/NAME"),
    "damaged": (["damaged"], "labels.txt: not as written"),
    "too few names": (["digits", "same", "--name", "x"], "--name: is given 1 times; should be given for each of 2"),
    "a name twice": (["digits", "same", "--name", "x", "--name", "x"], "same: is named x, like another bundle"),
    "a name that is a path": (["digits", "--name", "../x"], "--name '../x': should be letters, digits"),
    "an origin with a path": (["digits", "--origin", "https://example.com/"], "--origin https://example.com/: should"),
    "no time to keep alive": (["digits", "--keep-alive", "0"], "--keep-alive"),
    "less than no time to drain": (["digits", "--drain", "-1"], "--drain"),
    "port that is none": (["digits", "--port", "65536"], "--port"),
    "batch of nothing": (["digits", "--batch", "0"], "--batch"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_exit_code_2(
    name: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = BAD[name]
    for copy in ("digits", "same", "damaged"):
        shutil.copytree(tiny_run.bundle, tmp_path / copy)
    (tmp_path / "damaged" / "labels.txt").write_text("one\n")

    code = run_main(monkeypatch, tmp_path, "serve", *arguments)

    said = capsys.readouterr().err
    assert code == 2
    assert expected in said
    assert said.count("\n") == 1


def is_closed(port: int) -> bool:
    """Wait until nobody listens."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


def test_serving_loads_no_tensorflow() -> None:
    code = "import compress.serve.server, sys; assert 'tensorflow' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
