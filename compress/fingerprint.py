"""The parts of a stage's key that describe its code and the versions of the libraries it uses."""

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
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}  # those that are imported under another name


def code_digest(modules: Iterable[str]) -> str:
    """Return the sha256 over the syntax trees of the modules and of all project modules that they import.

    Docstrings and comments are left out, so that rewording them does not make anything train again.
    """
    digest = hashlib.sha256()
    for module in _closure(modules):
        digest.update(f"{module}\n{_dump(module)}\n".encode())
    return digest.hexdigest()


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return `{distribution: version}` for Python and every library that the modules import, directly or indirectly."""
    imported = {name.partition(".")[0] for module in _closure(modules) for name in _imports(module)}
    versions = {"python": platform.python_version()}
    for name in sorted(imported - set(sys.stdlib_module_names) - set(PROJECT)):
        versions |= _versions_of(name)
    return versions


@cache
def _versions_of(module: str) -> dict[str, str]:
    """Return `{distribution: version}` for those that provide a module; empty if it is not installed."""
    likely = _onnxruntime_as_installed() if module == "onnxruntime" else DISTRIBUTIONS.get(module, module)
    try:
        return {likely: version(likely)}
    except PackageNotFoundError:  # another distribution provides the module; this lookup is slow
        return {name: version(name) for name in packages_distributions().get(module, [])}


def _onnxruntime_as_installed() -> str:
    """Return the distribution that owns the files in onnxruntime's folder, which onnxruntime-gpu and others share.

    If several are installed, pip lists them all; the one that was unpacked last has written the file read here.
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
            # an import of `compress.x` names `compress` as well, whose __init__ only lists what it exports
            waiting += [name for name in names if name not in PROJECT and _source(name)]
    return sorted(found)


@cache
def _source(module: str) -> Path | None:
    """Return a project module's file, found without importing the module; None if there is no such file."""
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
    """Return the dotted names that a module imports at any level, `from a import b` as both `a` and `a.b`."""
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
