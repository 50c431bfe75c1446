"""The code and the library versions in a stage's key."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

PROJECT = ("compress", "teachers", "students")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}  # where the import has another name


def code_digest(modules: Iterable[str]) -> str:
    """Return the sha256 over the syntax trees of the modules and of all project modules that they import.

    Docstrings and comments are left out: rewording one does not cost a training.
    """
    digest = hashlib.sha256()
    for module in _closure(modules):
        digest.update(f"{module}\n{_dump(module)}\n".encode())
    return digest.hexdigest()


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return `{distribution: version}` of Python and of every library that the modules import, directly or not."""
    imported = {name.partition(".")[0] for module in _closure(modules) for name in _imports(module)}
    versions = {"python": platform.python_version()}
    for name in sorted(imported - set(sys.stdlib_module_names) - set(PROJECT)):
        versions |= _versions_of(name)
    return versions


@cache
def _versions_of(module: str) -> dict[str, str]:
    """Return the distributions that bring a module, and their versions; none if it is absent."""
    likely = _onnxruntime_as_installed() if module == "onnxruntime" else DISTRIBUTIONS.get(module, module)
    try:
        return {likely: version(likely)}
    except PackageNotFoundError:  # another distribution brings the module; slow to look up
        return {name: version(name) for name in packages_distributions().get(module, [])}


def _onnxruntime_as_installed() -> str:
    """Return the distribution whose files are in the module's folder: onnxruntime-gpu and others share it.

    Where several are installed, each is listed as if it were there; the last to be unpacked has left this file.
    """
    package = importlib.util.find_spec("onnxruntime")
    file = Path(package.origin or "").parent / "capi" / "build_and_package_info.py" if package else Path()
    named = re.search(r"^package_name = ['\"]([\w.-]+)", file.read_text() if file.is_file() else "", re.MULTILINE)
    return named[1] if named else "onnxruntime"


def _closure(modules: Iterable[str]) -> list[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            names = (name for name in _imports(module) if name.partition(".")[0] in PROJECT)
            # a package as such, which any import of its modules names, only says what it offers to others
            waiting += [name for name in names if name not in PROJECT and _source(name)]
    return sorted(found)


@cache
def _source(module: str) -> Path | None:
    """Return a project module's file, found without importing anything; None where there is none."""
    root, *parts = module.split(".")
    package = importlib.util.find_spec(root)
    if not package or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0], *parts)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _package(module: str) -> str:
    source = _source(module)
    return module if source and source.name == "__init__.py" else module.rpartition(".")[0]


@cache
def _tree(module: str) -> ast.Module:
    source = _source(module)
    return ast.parse(source.read_bytes()) if source else ast.Module([], [])


@cache
def _imports(module: str) -> list[str]:
    """Return the dotted names that a module imports anywhere, `from a import b` as both `a` and `a.b`."""
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), _package(module))
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return names


@cache
def _dump(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.copy_location(ast.Pass(), body[0])
    return ast.dump(tree)
