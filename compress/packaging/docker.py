"""A Docker build context: the bundle, this package's own files, and a Dockerfile that serves the one with the other."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path

import compress
from compress.packaging.source import Source

# What serve and predict import, of what this package declares for all its commands: no TensorFlow.
NEEDED = ("numpy", "onnxruntime", "pillow", "typer")
EXTRA = re.compile(r"""(;| and) extra == ["']serve["']$""")


def write(bundle: Source, out: Path) -> None:
    """Write the build context: `docker build --tag NAME OUT` builds the image of a server of this bundle."""
    bundle.copy(bundle.files, out / "bundle")
    package = Path(compress.__file__).parent
    shutil.copytree(package, out / "compress", ignore=shutil.ignore_patterns("__pycache__"))
    (out / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()), "utf-8")
    python = ".".join(bundle.version("python").split(".")[:2])
    bundle.render("Dockerfile", out / "Dockerfile", python=python)
    bundle.render("dockerignore", out / ".dockerignore")


def requirements() -> list[str]:
    """Return what serving needs, each with the bounds that this package declares, as pip takes them."""
    declared = importlib.metadata.requires("compress") or []
    needed = [line for line in declared if re.split(r"[^\w-]", line)[0] in NEEDED and "extra ==" not in line]
    return [*needed, *(EXTRA.sub("", line) for line in declared if EXTRA.search(line))]
