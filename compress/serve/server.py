"""The server itself: a socket, signals, and an orderly end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from compress.errors import MachineError
from compress.serve.app import build_app
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.models import load_models

CONNECTIONS = 1000  # more than that are told 503
HEADER_BYTES = 64 << 10
KEEP_ALIVE_SECONDS = 60


def serve(bundles: Sequence[Path], host: str, port: int, threads: int, limits: Limits, grace_seconds: int) -> None:
    """Serve bundles until SIGTERM or SIGINT, then answer what was accepted, for `grace_seconds` at most.

    Raises `BadInputError` as `load_models`, and `MachineError` where the port cannot be listened on.
    """
    metrics = Metrics()
    models = load_models(bundles, threads, limits, metrics)
    for folder, model in zip(bundles, models.values(), strict=True):
        shape, labels = model.classifier.input_shape, model.classifier.labels
        print(f"{model.classifier.name}: {folder}, {'x'.join(map(str, shape))} pixels to {len(labels)} labels")
    listening = listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(models, limits, metrics, stopping=lambda: server.should_exit),
            http="h11",  # in pure Python, and the one that bounds the headers
            h11_max_incomplete_event_size=HEADER_BYTES,
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=grace_seconds,
        )
    )

    def stop(*_: object) -> None:  # uvicorn raises the signal once more when it has stopped: that is no error here
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listening.getsockname()[1]}", flush=True)
    server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, on a free port for 0; raises `MachineError` where it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=CONNECTIONS)
    except (OSError, UnicodeError) as error:  # a name of too long a part is no Unicode to the codec of host names
        why = getattr(error, "strerror", None) or error
        raise MachineError(f"--host {host} --port {port}: cannot listen there: {why}") from error
    # connections inherit it; asyncio would set it only where the socket names its protocol, and answers, which are sent
    # in two parts, would wait 40 ms for the client's acknowledgement of the first
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
