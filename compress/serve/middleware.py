"""What happens to every request before a URL's function sees it, and to every answer after it."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

AUTHORITY = re.compile(r"^https?://[^/]*", re.IGNORECASE)  # at the beginning of a URL


def origin_form(app: ASGIApp) -> ASGIApp:
    """Return `app`, which finds the path in a request for a whole URL too, as clients send it to proxies.

    A server has to accept that form (RFC 9112, 3.2.2).
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = AUTHORITY.sub("", scope["path"], count=1) or "/"
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return answer


def closing(app: ASGIApp, stopping: Callable[[], bool]) -> ASGIApp:
    """Return `app`, whose answers close their connections once `stopping()` is true."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and stopping():
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, send_last)

    return answer
