"""Texts from Jinja2 templates that lie beside the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2


def render(template: Path, **values: Any) -> str:
    """Return a template's text; raises `jinja2.UndefinedError` for a value that it asks for and that is not given."""
    text = template.read_text("utf-8")
    return jinja2.Template(text, keep_trailing_newline=True, undefined=jinja2.StrictUndefined).render(**values)
