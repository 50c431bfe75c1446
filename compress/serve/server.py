"""The server process: its socket, its signals, and an orderly shutdown."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from compress.errors import MachineError
from compress.plural import counted
from compress.serve.app import build_app
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.models import load_models

CONNECTIONS = 1000  # further ones are answered with 503
HEADER_BYTES = 64 << 10
KEEP_ALIVE_SECONDS = 60


def serve(bundles: Sequence[Path], host: str, port: int, threads: int, limits: Limits, grace_seconds: int) -> None:
    """Serve bundles until SIGTERM or SIGINT, then finish the accepted requests within `grace_seconds`.

    Raises what `load_models` raises, and `MachineError` if the server cannot listen on the port.
    """
    metrics = Metrics()
    models = load_models(bundles, threads, limits, metrics)
    for folder, model in zip(bundles, models.values(), strict=True):
        shape, labels = model.classifier.input_shape, model.classifier.labels
        print(
            f"{model.classifier.name}: {folder}, {'x'.join(map(str, shape))} pixels to {counted(len(labels), 'label')}"
        )
    listening = listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(models, limits, metrics, stopping=lambda: server.should_exit),
            http="h11",  # pure Python, and the only implementation that limits the size of headers
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

    def stop(*_: object) -> None:  # uvicorn raises the signal again after it has stopped, which is not an error here
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listening.getsockname()[1]}", flush=True)
    server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free port. Raises `MachineError` if it cannot listen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=CONNECTIONS)
    except (OSError, UnicodeError) as error:  # the host name codec raises UnicodeError for a part that is too long
        why = getattr(error, "strerror", None) or error
        raise MachineError(f"--host {host} --port {port}: cannot listen there: {why}") from error
    # Connections inherit this option; asyncio sets it only if the socket states its protocol. Without it, an answer,
    # which is sent in two parts, would wait 40 ms for the client's acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
