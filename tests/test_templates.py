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
    "- a",
    "? a",
    "a\tb",
    "\t",
    " a ",
    "",
    "yes",
    "null",
    "~",
    "1e3",
    "1.5e3",
    "0x1f",
    "12:30:45",
    "2026-11-27",
    "!tag",
    "&a",
    "*a",
    "%a",
    "@a",
    "`a`",
    "{a: b}",
    "[a]",
    "| a",
    "> a",
    "---",
    "<<",
    "=",
    "\u200d\u0301e",
    "\U0010ffff",
]


@pytest.mark.parametrize("label", LABELS)
def test_yaml_is_printable_ascii_on_one_line_and_has_the_same_text(label: str) -> None:
    """Python's own literals know the escapes of YAML's double quotes, and join no halves of a character either."""
    text = to_yaml([label])

    assert text.isascii()
    assert text.isprintable()
    assert ast.literal_eval(text) == [label]


@pytest.mark.parametrize("label", LABELS)
def test_readers_of_yaml_read_the_same_text(label: str) -> None:
    yaml = pytest.importorskip("yaml")

    assert yaml.safe_load(f"labels: {to_yaml([label])}\nname: {to_yaml(label)}\n") == {"labels": [label], "name": label}
