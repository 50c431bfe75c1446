"""A training's state on disk: arrays and a JSON text in one .npz, replaced by one rename every epoch."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from compress.arrays import load_arrays, save_arrays

STATE = "state_json"


def save(path: Path, groups: dict[str, list[np.ndarray]], state: dict[str, Any]) -> None:
    """Write lists of arrays and a JSON-able state."""
    arrays = {f"{group}/{i}": array for group, values in groups.items() for i, array in enumerate(values)}
    arrays[STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    save_arrays(path, arrays)


def load(path: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
    """Return what `save` wrote; None where there is no file or it is not whole."""
    try:
        arrays = load_arrays(path)
        state = json.loads(arrays.pop(STATE).tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    groups: dict[str, list[np.ndarray]] = {}
    for name, array in arrays.items():  # written, and so read, in the lists' order
        groups.setdefault(name.partition("/")[0], []).append(array)
    return groups, state
