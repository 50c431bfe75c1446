"""How much a server takes, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is taken of clients.

    `batch`: images of a request, and of one run of the model. `queue`: requests that a model holds at once, from
    their first byte to their answer. `deadline_seconds`: from a request's first byte until the model begins with it.
    `request_bytes`: of a request's body.
    """

    batch: int = 32
    queue: int = 128
    deadline_seconds: float = 5.0
    request_bytes: int = 16 << 20


class Refused(Exception):  # noqa: N818
    """A request that gets `{"error": ...}` with an HTTP status instead of an answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
