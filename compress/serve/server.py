"""The server process: its socket, its signals, and an orderly shutdown."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from compress.errors import MachineError
from compress.plural import counted
from compress.serve.app import build_app
from compress.serve.connection import Connection
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.models import load_models

CONNECTIONS = 1000  # further ones are answered with 503
HEADER_BYTES = 64 << 10
IDLE_SECONDS = 1.0  # that connections without a request are left open once no new ones are accepted
QUIET_SECONDS = 0.03  # without accepting, before the socket is closed
TICK_SECONDS = 0.02


@dataclass(frozen=True)
class Times:
    """Seconds that a server waits.

    `header`: for the end of a request's header. `keep_alive`: for the next request on a connection. `drain`: once told
    to stop, while new connections are still accepted. `grace`: after that, for open requests.
    """

    header: float = 10.0
    keep_alive: int = 60
    drain: float = 0.0
    grace: int = 10


def serve(
    bundles: Sequence[Path],
    names: Sequence[str],
    address: tuple[str, int],
    threads: int,
    limits: Limits,
    times: Times,
    origins: Sequence[str],
) -> None:
    """Serve bundles, under other `names` if there are any, until SIGTERM or SIGINT; then finish what was accepted.

    `address` is host and port, `origins` are those of web pages that browsers let use the server. Raises what
    `load_models` raises, and `MachineError` if the server cannot listen on the port.
    """
    metrics = Metrics()
    models = load_models(bundles, threads, limits, metrics, names)
    for folder, model in zip(bundles, models.values(), strict=True):
        shape, labels = model.classifier.input_shape, counted(len(model.classifier.labels), "label")
        print(f"{model.classifier.name}: {folder}, {'x'.join(map(str, shape))} pixels to {labels}")
    host, port = address
    listening = listen(host, port)
    config = uvicorn.Config(
        build_app(models, limits, metrics, origins, stopping=lambda: server.should_exit),
        http=partial(Connection, header_seconds=times.header),  # type: ignore[arg-type]
        loop="asyncio",
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=times.keep_alive,
        timeout_graceful_shutdown=times.grace,
    )
    server = _Server(config, times.drain)

    def stop(*_: object) -> None:  # uvicorn raises the signal again after it has stopped, which is not an error here
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listening.getsockname()[1]}", flush=True)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn's server, which resets no connection when it stops.

    First it goes on for `drain_seconds`, not ready, so that a load balancer can turn away from it. Then it accepts no
    more, and what comes on open connections is answered, each with the last answer of its connection.
    """

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, stop accepting, leave idle connections open for a moment, then finish what is open."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_seconds
        while loop.time() < end and not self.force_exit:
            await asyncio.sleep(TICK_SECONDS)
        for listening in sockets or []:
            await self._stop_accepting(listening)
        end = loop.time() + IDLE_SECONDS
        while loop.time() < end and not self.force_exit and any(map(_is_idle, self.server_state.connections)):
            await asyncio.sleep(TICK_SECONDS)
        await super().shutdown(sockets)

    async def _stop_accepting(self, listening: socket.socket) -> None:
        """Close the socket after everything in its queue is accepted; what closing finds there would be reset.

        While nothing is accepted, the queue, of length 0 now, fills up and clients that connect are left waiting; then
        the few in the queue are accepted, and nobody connects in that moment.
        """
        loop = asyncio.get_running_loop()
        listening.listen(0)
        loop.remove_reader(listening)
        await asyncio.sleep(QUIET_SECONDS)
        accepted: list[socket.socket] = []
        try:
            while True:
                accepted.append(listening.accept()[0])
        except OSError:  # there are no more
            for server in self.servers:
                server.close()
        for client in accepted:
            client.setblocking(False)
            await loop.connect_accepted_socket(self._connection, client)

    def _connection(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        connection: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return connection


def _is_idle(connection: Any) -> bool:
    return isinstance(connection, Connection) and connection.is_idle


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
