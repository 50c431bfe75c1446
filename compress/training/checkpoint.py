"""A training's state in memory and on disk: arrays and a JSON text in one .npz, replaced at once after each epoch."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.arrays import load_arrays, save_arrays
from compress.training import history
from compress.training.fall import Fall
from compress.training.schedules import NO_PLATEAU

STATE = "state_json"
START = -1  # the epoch before the first

Groups = dict[str, list[np.ndarray]]
"""Arrays of the `model`, the `optimizer` and, if they are not the model's, the `best` weights."""


@dataclass
class State:
    """How far a training has come: all that a checkpoint holds besides weights and optimizer."""

    epoch: int = 0
    best: int = START
    best_result: tuple[float, float] = (-1.0, 0.0)
    parts: int = 1
    plateau: tuple[float, float, int] = NO_PLATEAU
    fall: Fall | None = None
    rows: list[history.Row] = field(default_factory=list)


def groups_of(model: Any, optimizer: Any) -> Groups:
    """Return copies of a model's weights and of its optimizer's variables."""
    return {"model": model.get_weights(), "optimizer": [variable.numpy() for variable in _variables(optimizer)]}


def restore(model: Any, optimizer: Any, groups: Groups) -> None:
    """Set a model and its optimizer to what `groups_of` returned."""
    model.set_weights(groups["model"])
    for variable, value in zip(_variables(optimizer), groups["optimizer"], strict=True):
        variable.assign(value)


def _variables(optimizer: Any) -> list[Any]:
    """Return an optimizer's variables, with those of its loss scale, if it has one, which Keras does not list."""
    scale = getattr(optimizer, "_loss_scale", None)
    return [*optimizer.variables, *([scale.current_loss_scale, scale.counter] if scale else [])]


def save(path: Path, groups: Groups, state: State) -> None:
    """Write arrays and state."""
    arrays = {f"{group}/{i}": array for group, values in groups.items() for i, array in enumerate(values)}
    arrays[STATE] = np.frombuffer(json.dumps(dataclasses.asdict(state)).encode(), np.uint8)
    save_arrays(path, arrays)


def load(path: Path) -> tuple[Groups, State] | None:
    """Return what `save` wrote; None if there is no file or it is not complete."""
    try:
        arrays = load_arrays(path)
        state = State(**json.loads(arrays.pop(STATE).tobytes()))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    groups: Groups = {}
    for name, array in arrays.items():  # written, and so read, in the lists' order
        groups.setdefault(name.partition("/")[0], []).append(array)
    return groups, state
