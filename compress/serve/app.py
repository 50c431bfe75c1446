"""The ASGI application of a server: one function per URL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import numpy as np
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from compress.errors import BadInputError, first_line
from compress.machine import available_cores
from compress.onnx_tools.signature import PROBABILITIES
from compress.serve.body import CODINGS, advice, read_body
from compress.serve.limits import Limits, Refused
from compress.serve.metrics import Metrics
from compress.serve.middleware import closing, origin_form
from compress.serve.models import Model
from compress.serve.openapi import description
from compress.serve.page import HEADERS, PAGE
from compress.serve.protocol import JSON_LENGTH, NUMBER, VERSION, read_request, write_answer

RETRY_SECONDS = 1
READ_AT_ONCE = 64 << 10  # bytes; larger requests are parsed in a thread, so that others are answered meanwhile


def build_app(
    models: Mapping[str, Model],
    limits: Limits,
    metrics: Metrics,
    origins: Sequence[str] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the ASGI application of a server.

    Once `stopping()` is true, it reports that it is not ready, and closes each connection with its next answer.
    `origins` are those of web pages that may use the server (CORS); "*" is all.
    """
    routes = []
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(f"{model}/infer", infer, methods=["POST"]),
            Route(f"{model}/classify", classify, methods=["POST"]),
            Route(f"{model}/ready", model_ready),
            Route(f"{model}/config", model_config),
            Route(model, model_metadata),
        ]
    routes += [
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/v2/repository/index", index, methods=["GET", "POST"]),
        *(Route(path, server_metadata) for path in ("/v2", "/v2/")),  # as in the protocol's text and its OpenAPI file
        Route("/metrics", read_metrics),
        Route("/openapi.json", openapi),
        Route("/", page),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refused,
            BadInputError: _bad_input,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    app.state.models = models
    app.state.limits = limits
    app.state.metrics = metrics
    app.state.stopping = stopping
    app.state.decoders = ThreadPoolExecutor(available_cores())
    answering: ASGIApp = app
    if origins:
        methods, exposed = ["GET", "POST"], [JSON_LENGTH, "Retry-After"]
        answering = CORSMiddleware(app, origins, allow_methods=methods, allow_headers=["*"], expose_headers=exposed)
    return origin_form(metrics.counting(closing(answering, stopping), models))


async def page(request: Request) -> Response:
    """Return the page that classifies an image dropped on it."""
    return Response(PAGE, headers=HEADERS, media_type="text/html")


async def openapi(request: Request) -> Response:
    """Return the OpenAPI description of this server."""
    return _json(description(request.app.state.models))


async def server_metadata(request: Request) -> Response:
    """Return the server's name, version and protocol extensions."""
    extensions = ["binary_tensor_data", "model_configuration", "model_repository(index)", "classify"]
    return _json({"name": "compress", "version": version("compress"), "extensions": extensions})


async def live(request: Request) -> Response:
    """Return that the server is alive, which it is if it answers."""
    return _json({"live": True})


async def ready(request: Request) -> Response:
    """Return whether all models accept requests; status 503 if not."""
    is_ready = not request.app.state.stopping()
    return _json({"ready": is_ready}, 200 if is_ready else 503)


async def index(request: Request) -> Response:
    """Return the name, version and state of each model."""
    return _json([{"name": name, "version": VERSION, "state": "READY"} for name in request.app.state.models])


async def model_metadata(request: Request) -> Response:
    """Return a model's inputs and outputs."""
    return _json(_model(request).metadata())


async def model_ready(request: Request) -> Response:
    """Return whether a model accepts requests; status 503 if not."""
    name = _model(request).classifier.name
    is_ready = not request.app.state.stopping()
    return _json({"name": name, "ready": is_ready}, 200 if is_ready else 503)


async def model_config(request: Request) -> Response:
    """Return a model's configuration in Triton's format."""
    return _json(_model(request).config())


async def infer(request: Request) -> Response:
    """Return a model's outputs for pixels, as the protocol's inference request gives them."""
    model, limits = _model(request), request.app.state.limits
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.deadline_seconds
    with model.batcher.place():
        body = await read_body(request, limits, deadline)
        arguments = body, _json_length(request), model.classifier.input_shape, limits.batch
        if len(body) <= READ_AT_ONCE:
            query = read_request(*arguments)
        else:
            query = await loop.run_in_executor(request.app.state.decoders, read_request, *arguments)
        outputs = await model.batcher.infer(query.pixels, tuple(query.outputs), deadline)
        content, headers = write_answer(model.classifier.name, query, outputs)
    return Response(content, headers=headers)


async def classify(request: Request) -> Response:
    """Return the most probable labels of an image file; `top` in the query says how many."""
    start = time.perf_counter()
    model, state = _model(request), request.app.state
    top = request.query_params.get("top", "5")
    if not NUMBER.fullmatch(top) or int(top) < 1:
        raise Refused(400, f"top: is {top!r:.50}; should be a number of labels, 1 or more")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + state.limits.deadline_seconds
    with model.batcher.place():
        body = await read_body(request, state.limits, deadline)
        pixels = await loop.run_in_executor(state.decoders, model.classifier.pixels, body)
        outputs = await model.batcher.infer(pixels[np.newaxis], [PROBABILITIES], deadline)
    try:
        prediction = model.classifier.prediction(outputs[PROBABILITIES][0], int(top))
    except BadInputError as error:  # the model's fault, not the client's
        raise Refused(500, str(error)) from error
    return _json(
        {
            "model_name": model.classifier.name,
            "label": prediction.label,
            "probability": prediction.probability,
            "top": [{"label": label, "probability": probability} for label, probability in prediction.top],
            "milliseconds": round((time.perf_counter() - start) * 1e3, 3),
        }
    )


async def read_metrics(request: Request) -> Response:
    """Return the metrics in the format of Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _model(request: Request) -> Model:
    name, model_version = request.path_params["name"], request.path_params.get("version", VERSION)
    models: Mapping[str, Model] = request.app.state.models
    if name not in models:
        raise Refused(404, f"there is no model {name!r:.100}; there is {', '.join(models)}")
    if model_version != VERSION:
        raise Refused(404, f"{name} has no version {model_version!r:.100}; it has {VERSION}")
    return models[name]


def _json_length(request: Request) -> str | None:
    """Return the header that states the size of the JSON; None without it. Two of them are no number."""
    return ",".join(request.headers.getlist(JSON_LENGTH)) if JSON_LENGTH in request.headers else None


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # ASCII, because a message may quote half of a surrogate pair from a client's text, which UTF-8 cannot encode
    return Response(json.dumps(value, allow_nan=False), status, headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {503: {"Retry-After": str(RETRY_SECONDS)}, 415: {"Accept-Encoding": ", ".join(CODINGS)}}
    why = f"{error}{advice(request)}" if error.status == 400 else str(error)
    return _json({"error": why}, error.status, headers.get(error.status))


async def _bad_input(request: Request, error: Exception) -> Response:
    return _json({"error": f"{error}{advice(request)}"}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    is_unsupported = error.status_code == 404 and path.startswith("/v2/")  # statistics, loading, shared memory, tracing
    why = f"{path:.100}: not supported by this server; /openapi.json lists what is" if is_unsupported else error.detail
    return _json({"error": why}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return _json({"error": "the client went away"}, 400)  # nobody reads this, but the metrics count it


async def _failed(request: Request, error: Exception) -> Response:
    return _json({"error": f"the model could not be run: {first_line(error):.300}"}, 500)
