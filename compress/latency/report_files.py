"""Writing reports for other programs into the files that options name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import cannot_write
from compress.files import write_file


def write_report(option: str, file: Path, content: bytes) -> None:
    """Write a report; raises `BadInputError` if it cannot be written, `MachineError` if the disk is full."""
    try:
        write_file(file, content)
    except OSError as error:
        raise cannot_write(f"{option} {file}", error) from error


def to_json(report: Mapping[str, Any]) -> bytes:
    """Return a report as JSON text."""
    return (json.dumps(report, indent=1) + "\n").encode()
