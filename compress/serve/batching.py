"""Dynamic batching: requests that arrive while a model is busy are run together next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from compress.plural import counted
from compress.serve.limits import Limits, Refused
from compress.serve.metrics import ModelMetrics

Run = Callable[[Sequence[str], np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True)
class _Waiting:
    pixels: np.ndarray
    outputs: Sequence[str]
    deadline: float
    answer: asyncio.Future[dict[str, np.ndarray]]


class Batcher:
    """Runs one model in a thread of its own, for requests whose images all have the shape of its input.

    An idle model runs a request at once; no request waits for others to join it. Requests that arrive while the model
    is busy are run as one batch next, in order, up to `limits.batch` images.
    """

    def __init__(self, run: Run, limits: Limits, metrics: ModelMetrics) -> None:
        self._run = run
        self._limits = limits
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._held = 0
        self._thread = ThreadPoolExecutor(1)
        self._work: asyncio.Task[None] | None = None
        metrics.waiting.set_function(lambda: len(self._waiting))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the model's `limits.queue` places for a request.

        Raises `Refused` if all places are occupied. Turns a cancellation, which ends requests that are still open when
        the server's grace period is over, into `Refused`.
        """
        if self._held >= self._limits.queue:
            raise Refused(503, f"busy: already has {counted(self._limits.queue, 'request')} to answer; try again later")
        self._held += 1
        try:
            yield
        except asyncio.CancelledError as error:
            raise Refused(503, "the server is stopping, and its grace period is over") from error
        finally:
            self._held -= 1

    async def infer(self, pixels: np.ndarray, outputs: Sequence[str], deadline: float) -> dict[str, np.ndarray]:
        """Return the named outputs, `(n, ...)` each, for pixels `(n, height, width, channels) uint8`.

        `n` is at most `limits.batch`. Raises `Refused` if the model has not started on them by `deadline`, in the event
        loop's time.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(pixels, outputs, deadline, loop.create_future())
        self._waiting.append(waiting)
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._run_waiting())
        return await waiting.answer

    async def _run_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = self._next_batch(loop.time())
            if not batch:
                continue
            try:
                answers = await loop.run_in_executor(self._thread, self._infer, batch)
            except Exception as error:
                for waiting in batch:
                    _settle(waiting.answer, error)
            else:
                for waiting, answer in zip(batch, answers, strict=True):
                    _settle(waiting.answer, answer)

    def _next_batch(self, now: float) -> list[_Waiting]:
        """Remove and return the requests to run together next; those past their deadline are refused."""
        batch: list[_Waiting] = []
        images = 0
        while self._waiting and images + len(self._waiting[0].pixels) <= self._limits.batch:
            waiting = self._waiting.popleft()
            if waiting.deadline < now:
                _settle(waiting.answer, Refused(503, "expired: the model was busy until the deadline; try again later"))
            elif not waiting.answer.done():  # it is done if it was cancelled, at the end of the grace period
                batch.append(waiting)
                images += len(waiting.pixels)
        return batch

    def _infer(self, batch: Sequence[_Waiting]) -> list[dict[str, np.ndarray]]:
        """Run a batch, in the model's thread, and return each request's outputs; others are not computed."""
        pixels = np.concatenate([waiting.pixels for waiting in batch]) if len(batch) > 1 else batch[0].pixels
        names = sorted({name for waiting in batch for name in waiting.outputs})
        self._metrics.batch_images.observe(len(pixels))
        with self._metrics.inference_seconds.time():
            results = dict(zip(names, self._run(names, pixels), strict=True))
        answers = []
        start = 0
        for waiting in batch:
            end = start + len(waiting.pixels)
            answers.append({name: results[name][start:end] for name in waiting.outputs})
            start = end
        return answers


def _settle(answer: asyncio.Future[dict[str, np.ndarray]], value: dict[str, np.ndarray] | Exception) -> None:
    if answer.done():
        return
    if isinstance(value, Exception):
        answer.set_exception(value)
    else:
        answer.set_result(value)
