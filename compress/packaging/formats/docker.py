"""A Docker build context: a bundle, this package's own files, and a Dockerfile for a server of the bundle."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from importlib import resources
from pathlib import Path

from compress.bundle.contents import TEACHER
from compress.errors import MachineError
from compress.packaging.source import Source

# Those of this package's requirements that serve, predict and verify import: no TensorFlow
NEEDED = ("numpy", "onnx", "onnxruntime", "pillow", "pydantic", "typer")
EXTRA = re.compile(r"""(;| and) extra == ["']serve["']$""")


def write(bundle: Source, out: Path) -> None:
    """Write the build context: `docker build --tag NAME OUT` builds the image of a server for this bundle.

    This package is copied as it is here, because no package index has it, and without most of its dependencies, which
    only training needs, as it does the teacher's weights. Raises `MachineError` if it is not installed, because its
    requirements are then unknown.
    """
    (out / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()), "utf-8")
    bundle.copy([name for name in bundle.files if name != TEACHER], out / "bundle")
    package = Path(str(resources.files("compress")))
    shutil.copytree(package, out / "app" / "compress", ignore=shutil.ignore_patterns("__pycache__"))
    version = importlib.metadata.version("compress")
    metadata = out / "app" / f"compress-{version}.dist-info" / "METADATA"  # where the package looks up its version
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: compress\nVersion: {version}\n", "utf-8")
    python = ".".join(bundle.version("python").split(".")[:2])
    bundle.render("Dockerfile", out / "Dockerfile", python=python)
    bundle.render("dockerignore", out / ".dockerignore")


def requirements() -> list[str]:
    """Return the pip requirements of a server, with the version bounds that this package declares."""
    try:
        declared = importlib.metadata.requires("compress")
    except importlib.metadata.PackageNotFoundError:
        declared = None
    if not declared:
        raise MachineError("compress is not installed here, so its requirements are not known: pip install -e .")
    needed = [line for line in declared if re.split(r"[^\w-]", line)[0] in NEEDED and "extra ==" not in line]
    return [*needed, *(EXTRA.sub("", line) for line in declared if EXTRA.search(line))]
