"""The source of every layout: a bundle that has been verified."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.bundle.contents import MANIFEST, SUMS, TEACHER, read_part
from compress.bundle.manifest import distribution_of
from compress.data.preparation import prepared_shape
from compress.errors import BadInputError
from compress.templates import render

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Source:
    """A verified bundle: its folder, its manifest, and its classes in the order of the outputs."""

    folder: Path
    manifest: dict[str, Any]
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.manifest["name"]

    @property
    def input_shape(self) -> list[int]:
        """The shape of one image, (height, width, channels), which verification has compared with the model."""
        return [*prepared_shape(self.manifest["image"])]

    @property
    def files(self) -> list[str]:
        """The names of the bundle's files, including `variants/`, but not of files that a user has added."""
        is_left_out = {TEACHER} if not (self.folder / TEACHER).exists() else {}
        return [name for name in (*self.manifest["files"], MANIFEST, SUMS) if name not in is_left_out]

    def version(self, library: str) -> str:
        """Return the version of a library with which the bundle was made and measured.

        Raises `BadInputError` if the manifest does not state it.
        """
        if library not in self.manifest["versions"]:
            raise BadInputError(f"{self.folder / MANIFEST}: versions: has no {library}")
        return self.manifest["versions"][library]

    def requirement(self, library: str) -> str:
        """Return the pip requirement for the same library and version as in `version`; raises `BadInputError`."""
        distribution = distribution_of(library, self.manifest["versions"])
        return f"{distribution}=={self.version(distribution)}"

    def copy(self, names: Iterable[str], out: Path) -> None:
        """Copy files into a folder under their names in the bundle."""
        for name in names:
            self.copy_as(name, out / name)

    def copy_as(self, name: str, path: Path) -> None:
        """Copy a file to a path; raises `BadInputError` like `read_part`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_part(self.folder, name))

    def render(self, template: str, path: Path, **values: Any) -> None:
        """Write a template of this package to a path; the template sees this source as `bundle`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(HERE / f"{template}.jinja", bundle=self, **values), "utf-8")
