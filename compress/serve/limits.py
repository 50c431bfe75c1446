"""How much a server accepts, and the error for requests that it refuses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper limits on what a server accepts.

    `batch`: images per request, and per run of the model. `queue`: requests per model at a time, from their first byte
    to their answer. `deadline_seconds`: from a request's first byte until the model starts on it. `request_bytes`: size
    of a request's body.
    """

    batch: int = 32
    queue: int = 128
    deadline_seconds: float = 5.0
    request_bytes: int = 16 << 20


class Refused(Exception):  # noqa: N818
    """Raised for a request that is answered with `{"error": ...}` and this HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
