"""What is stated about the inputs of models: by `--shape` and `--inputs`, and by another model fed the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress.arrays import open_npz, read_members
from compress.errors import BadInputError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given:
    """What a user states about inputs: shapes by name, and a .npz file with arrays by name ("" for none).

    `fixed` are the sizes that one of several models which are fed the same fixes, by input; None where none does.
    """

    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    file: str = ""
    fixed: Mapping[str, Sequence[int | None]] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Return the names of the inputs that it states; raises `BadInputError` if the file cannot be read."""
        return {*self.shapes, *self._members()}

    def arrays(self, inputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the file's arrays for some of `inputs`; raises `BadInputError` for what is damaged, pickled, empty."""
        names = [name for name in self._members() if name in inputs]
        file = Path(self.file)
        arrays = read_members(file, file.stat().st_size, names, f"--inputs {file}") if names else {}
        for name, array in arrays.items():
            if not array.size:
                raise BadInputError(f"--inputs {file}: {name} has shape {array.shape}; it should hold values")
        return arrays

    def _members(self) -> list[str]:
        if not self.file:
            return []
        with open_npz(Path(self.file), f"--inputs {self.file}") as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]


NOTHING = Given()
