"""Rendering of the Jinja2 templates that are kept beside the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2


def render(template: Path, **values: Any) -> str:
    """Return a template's text with `values` filled in; raises `jinja2.UndefinedError` if it uses a missing value."""
    text = template.read_text("utf-8")
    return jinja2.Template(text, keep_trailing_newline=True, undefined=jinja2.StrictUndefined).render(**values)
