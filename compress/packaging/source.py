"""What every layout is made from: a bundle that was found to be whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.bundle.contents import MANIFEST, SUMS, read_part
from compress.bundle.manifest import distribution_of
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
        """What the model is called."""
        return self.manifest["name"]

    @property
    def input_shape(self) -> list[int]:
        """The shape of one image, without the batch: (height, width, channels), to which the model was held."""
        image = self.manifest["image"]
        return [image["size"], image["size"], image["channels"]]

    @property
    def files(self) -> list[str]:
        """The names of all files, `variants/` included; what a user has put beside them is none of the bundle's."""
        return [*self.manifest["files"], MANIFEST, SUMS]

    def version(self, library: str) -> str:
        """Return the version of a library that the bundle was made and measured with; raises `BadInputError`."""
        if library not in self.manifest["versions"]:
            raise BadInputError(f"{self.folder / MANIFEST}: versions: has no {library}")
        return self.manifest["versions"][library]

    def requirement(self, library: str) -> str:
        """Return what pip takes for a library as the bundle was measured with it; raises `BadInputError`."""
        distribution = distribution_of(library, self.manifest["versions"])
        return f"{distribution}=={self.version(distribution)}"

    def copy(self, names: Iterable[str], out: Path) -> None:
        """Copy files into a folder, under the names that they have in the bundle."""
        for name in names:
            self.copy_as(name, out / name)

    def copy_as(self, name: str, path: Path) -> None:
        """Copy one file to a path; raises `BadInputError` as `read_part`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_part(self.folder, name))

    def render(self, template: str, path: Path, **values: Any) -> None:
        """Write a text from a template of this room, which sees the bundle as `bundle`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(HERE / f"{template}.jinja", bundle=self, **values), "utf-8")
