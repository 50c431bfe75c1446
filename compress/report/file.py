"""The names of the report's files; writing report.json, and reading it from untrusted files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from compress.errors import BadInputError
from compress.report.schema import SCHEMA, Report
from compress.untrusted import read_file

FILE, PAGE, MARKDOWN = "report.json", "report.html", "report.md"
PLOTS = "plots"  # the folder of the page's figures as files
HEAD, COMPARISON, LIVE, INSPECTION = "head.html", "compare.html", "live.html", "data.html"
TEMPLATES = {
    name: Path(__file__).parent / f"{name}.jinja" for name in (PAGE, MARKDOWN, HEAD, COMPARISON, LIVE, INSPECTION)
}
PARTS = [Path(__file__).parent / f"{name}.jinja" for name in ("parts.html", "style.css")]  # that pages import
MAX_BYTES = 64 << 20  # a report on 20 models of 1,000 classes has a tenth of that


def to_text(report: Report) -> str:
    """Return the text of report.json."""
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> Report:
    """Return the report in an untrusted file.

    Raises `BadInputError`, which names the first thing that is wrong: the key, its value, and what would be right.
    """
    content = read_file(path, MAX_BYTES, f"should be a bundle's {FILE}")
    try:
        return Report.model_validate_json(content)
    except ValidationError as error:
        raise BadInputError(f"{path}: {_first_mistake(error)}") from error


def _first_mistake(error: ValidationError) -> str:
    mistake: Any = error.errors(include_url=False)[0]
    message = mistake["msg"].removeprefix("Value error, ").replace("Input should", "should")
    key = ".".join(repr(str(part))[1:-1] for part in mistake["loc"])[:200]  # names of classes may hold line breaks
    if mistake["type"] == "json_invalid":
        return f"not JSON: {message.removeprefix('Invalid JSON: ')}; should be a bundle's {FILE}"
    if mistake["type"] == "missing":
        return f"{key}: is missing; a report of schema {SCHEMA} should have it"
    if mistake["type"] == "value_error":
        return f"{key}: {message}" if key else message
    if key == "schema":
        message += ", the only one that this version reads"
    value = f"{mistake['input']!r:.60}"
    return f"{key} = {value}: {message}" if key else f"is {value}; {message}"
