"""What a config may name: one module a teacher, a student, a data source, a loss.

Plug-ins are found by their file name in the package that holds their kind; adding one is adding one file.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error line: the nearest known name, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def names(package: str) -> list[str]:
    """Return the names of the plug-ins of a package."""
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]


def find(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of a package; raises `ValueError` with the nearest real name."""
    known = names(package)
    if name not in known:
        raise ValueError(f"there is no {name!r} in {package.replace('.', '/')}/; {nearest(name, known)}")
    return importlib.import_module(f"{package}.{name}")


def check_options(key: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    """Check options against a function's keyword parameters; raises `ValueError` with one line."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    try:
        create_model("options", __config__=ConfigDict(extra="forbid", strict=True), **fields)(**options)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        name = mistake["loc"][0]
        if mistake["type"] == "extra_forbidden":
            raise ValueError(f"{key}.{name}: there is no such option; {nearest(str(name), fields)}") from error
        raise ValueError(f"{key}.{name} = {mistake['input']!r}: {mistake['msg']}") from error
