"""A client's connection: cut off if its header never ends, and closed without a reset."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LINGER_SECONDS = 1.0  # from the end of what is sent until the socket is closed, if the client does not close it


class Connection(H11Protocol):
    """uvicorn's connection with a limit on the seconds until a request's header has arrived."""

    def __init__(self, *arguments: Any, header_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_seconds = header_seconds
        self._header_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open and no request is being answered."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(cast(asyncio.Transport, _Lingering(transport, self.loop)))
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after the last answer is ignored."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch_header()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, of which a part may be here."""
        super().on_response_complete()
        self._watch_header()

    def _watch_header(self) -> None:
        """Let the time run while a header is incomplete; `timeout_keep_alive` limits the time before its first byte."""
        is_waiting = self.conn.their_state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        if not is_waiting or self.transport.is_closing():
            self._stop_timer()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self._header_seconds, self._cut_off)

    def _stop_timer(self) -> None:
        if self._header_timer:
            self._header_timer.cancel()
            self._header_timer = None

    def _cut_off(self) -> None:
        if self.conn.trailing_data[0]:
            body = json.dumps({"error": f"the header has not arrived within {self._header_seconds:g} seconds"}).encode()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
            for event in (
                h11.Response(status_code=408, headers=list(headers.items()), reason=b"Request Timeout"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Lingering:
    """A transport that ends what it sends, and closes once the client does, or a little later.

    A socket that is closed while something from the client is unread is reset, and the client may lose the answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._ended = False

    def is_closing(self) -> bool:
        return self._ended or self._transport.is_closing()

    def close(self) -> None:
        if not self.is_closing():
            self._ended = True
            with contextlib.suppress(OSError):  # the client has reset the connection
                self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
