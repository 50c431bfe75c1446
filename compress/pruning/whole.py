"""Layers that are left whole."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from compress.errors import BadInputError
from compress.plugins import nearest


def named(model: Any, patterns: Sequence[str], section: str) -> list[str]:
    """Return the names of the layers that match patterns; raises `BadInputError` for one that matches none."""
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise BadInputError(f"{section}.whole = {pattern!r}: no layer has this name; {nearest(pattern, names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
