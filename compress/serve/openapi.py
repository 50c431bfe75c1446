"""The description at /openapi.json: every URL with its requests and responses, as OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version
from typing import Any

from compress.serve.protocol import JSON_LENGTH, VERSION, InferenceRequest

TEXT, NUMBER, BINARY = {"type": "string"}, {"type": "number"}, {"type": "string", "format": "binary"}
SHAPE = {"type": "array", "items": {"type": "integer"}}
ERRORS = {
    "400": "Something in the request is wrong.",
    "404": "There is no such model or version.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body has an encoding that is not supported.",
    "500": "The model could not be run.",
    "503": "The server is too busy or about to stop: try again later.",
}


def description(models: Collection[str]) -> dict[str, Any]:
    """Return the OpenAPI document of a server with these models."""
    schemas = _schemas()
    paths: dict[str, Any] = {
        "/": {"get": _operation("A page to try out the models", {"text/html": {"schema": TEXT}})},
        "/metrics": {"get": _operation("Metrics for Prometheus", {"text/plain": {"schema": TEXT}})},
        "/openapi.json": {"get": _operation("This description", _json({"type": "object"}))},
        "/v2": {"get": _operation("The server", _named("ServerMetadata"))},
        "/v2/health/live": {"get": _operation("Whether the server answers", _named("Live"))},
        "/v2/health/ready": {"get": _operation("Whether all models are ready", _named("Ready"), "503")},
        "/v2/repository/index": {
            method: _operation("The models", _json({"type": "array", "items": _ref("Entry")}))
            for method in ("get", "post")
        },
    }
    name = {"name": "name", "in": "path", "required": True, "schema": {"enum": list(models)}}
    of_version = {"name": "version", "in": "path", "required": True, "schema": {"enum": [VERSION]}}
    for path, parameters in (
        ("/v2/models/{name}", [name]),
        ("/v2/models/{name}/versions/{version}", [name, of_version]),
    ):
        for end, operations in _of_a_model().items():
            paths[path + end] = {"parameters": parameters, **operations}
    return {
        "openapi": "3.1.0",
        "info": {"title": "compress serve", "version": version("compress")},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _of_a_model() -> dict[str, Any]:
    """Return the operations on a model, by the end of their URL."""
    json_length = {"name": JSON_LENGTH, "in": "header", "schema": {"type": "integer", "minimum": 0}}
    top = {"name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}}
    answers = {**_named("InferenceResponse"), "application/octet-stream": {"schema": BINARY}}
    images = {kind: {"schema": BINARY} for kind in ("image/jpeg", "image/png", "application/octet-stream")}
    failures = ("400", "404", "408", "413", "415", "500", "503")
    return {
        "": {"get": _operation("A model's inputs and outputs", _named("ModelMetadata"), "404")},
        "/ready": {"get": _operation("Whether a model is ready", _named("Ready"), "404", "503")},
        "/config": {"get": _operation("A model's configuration", _json({"type": "object"}), "404")},
        "/infer": {
            "post": {
                **_operation("A model's outputs for pixels", answers, *failures),
                "parameters": [json_length],
                "requestBody": {
                    "required": True,
                    "content": {**_named("InferenceRequest"), "application/octet-stream": {"schema": BINARY}},
                },
            }
        },
        "/classify": {
            "post": {
                **_operation("The labels of an image", _named("Classification"), *failures),
                "parameters": [top],
                "requestBody": {"required": True, "content": images},
            }
        },
    }


def _schemas() -> dict[str, Any]:
    request = InferenceRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    tensor = {"name": TEXT, "datatype": TEXT, "shape": SHAPE}
    output = _object({**tensor, "data": {"type": "array", "items": NUMBER}, "parameters": {"type": "object"}}, *tensor)
    label = _object({"label": TEXT, "probability": NUMBER})
    return {
        **request.pop("$defs"),
        "InferenceRequest": request,
        "Error": _object({"error": TEXT}),
        "Live": _object({"live": {"type": "boolean"}}),
        "Ready": _object({"name": TEXT, "ready": {"type": "boolean"}}, "ready"),
        "Entry": _object({"name": TEXT, "version": TEXT, "state": TEXT}),
        "ServerMetadata": _object({"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}}),
        "ModelMetadata": _object(
            {
                "name": TEXT,
                "versions": {"type": "array", "items": TEXT},
                "platform": TEXT,
                **{part: {"type": "array", "items": _object(tensor)} for part in ("inputs", "outputs")},
            }
        ),
        "InferenceResponse": _object(
            {"model_name": TEXT, "model_version": TEXT, "id": TEXT, "outputs": {"type": "array", "items": output}},
            "model_name",
            "outputs",
        ),
        "Classification": _object(
            {
                "model_name": TEXT,
                "label": TEXT,
                "probability": NUMBER,
                "top": {"type": "array", "items": label},
                "milliseconds": NUMBER,
            }
        ),
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object with these properties; without `required`, all of them are required."""
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def _operation(summary: str, content: dict[str, Any], *errors: str) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status in errors:
        responses[status] = {"description": ERRORS[status], "content": _named("Error")}
    return {"summary": summary, "responses": responses}


def _named(schema: str) -> dict[str, Any]:
    return _json(_ref(schema))


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
