"""The metrics that Prometheus reads at /metrics."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class ModelMetrics:
    """The metrics of one model: waiting requests, images per batch, seconds per run."""

    waiting: Gauge
    batch_images: Histogram
    inference_seconds: Histogram


class Metrics:
    """The metrics of one server, in their own registry, so that a process can have several servers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        request = ["model", "endpoint"]
        self._requests = Counter(
            "compress_requests", "Requests answered.", [*request, "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "compress_request_seconds",
            "Time from a request's headers to its answer.",
            request,
            buckets=SECONDS,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "compress_queue_requests", "Requests waiting for the model.", ["model"], registry=self.registry
        )
        self._images = Histogram(
            "compress_batch_images", "Images per run of the model.", ["model"], buckets=IMAGES, registry=self.registry
        )
        self._inference = Histogram(
            "compress_inference_seconds",
            "Time of one run of the model in ONNX Runtime.",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def of_model(self, name: str) -> ModelMetrics:
        """Return the metrics of one model."""
        return ModelMetrics(self._waiting.labels(name), self._images.labels(name), self._inference.labels(name))

    def counting(self, app: ASGIApp, models: Collection[str]) -> ASGIApp:
        """Return `app` with its requests counted and timed; those that name none of `models` have the label ""."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            start = time.perf_counter()
            status = 0

            async def send_and_note_status(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, send_and_note_status)
            finally:
                name = scope.get("path_params", {}).get("name", "")
                labels = (name if name in models else "", getattr(scope.get("endpoint"), "__name__", ""))
                self._requests.labels(*labels, status).inc()
                self._seconds.labels(*labels).observe(time.perf_counter() - start)

        return counted
