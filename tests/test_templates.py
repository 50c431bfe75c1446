from __future__ import annotations

import ast

import pytest

from compress.templates import to_yaml

LABELS = [
    '"',
    "'",
    "a\nb",
    "a\r",
    "a\u2028b",
    "\U0001f600",
    "\\ud83d\\ude00",
    "\\",
    "#a",
    "a # b",
    "a: b",
    "\ufeff",
    "\x7f\x85",
]


@pytest.mark.parametrize("label", LABELS)
def test_yaml_is_printable_ascii_on_one_line_and_has_the_same_text(label: str) -> None:
    """Python's own literals know the escapes of YAML's double quotes, and join no halves of a character either."""
    text = to_yaml([label])

    assert text.isascii()
    assert text.isprintable()
    assert ast.literal_eval(text) == [label]
