"""Rendering of the Jinja2 templates that are kept beside the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jinja2


def render(template: Path, **values: Any) -> str:
    """Return a template's text with `values` filled in; raises `jinja2.UndefinedError` if it uses a missing value.

    It may import other templates of its folder. In one of HTML, text is escaped. Besides Jinja2's filters there is
    `yaml`, see `to_yaml`.
    """
    is_html = template.name.endswith(".html.jinja")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=is_html,
        trim_blocks=is_html,
        lstrip_blocks=is_html,
    )
    environment.filters["yaml"] = to_yaml
    return environment.get_template(template.name).render(**values)


def to_yaml(value: Any) -> str:
    """Return a JSON value as YAML in ASCII, on one line.

    JSON itself will not do: readers of YAML take the two halves of `\\ud83d\\ude00` for two characters.
    """

    def escaped(match: re.Match[str]) -> str:
        code = ord(match[0])
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

    return re.sub(r"[^ -~]", escaped, json.dumps(value, ensure_ascii=False))
