"""A run's settings as TOML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from compress.plugins import Choice


def to_toml(config: BaseModel) -> str:
    """Return a configuration as TOML with a description of each key; `config.load` reads the same values from it."""
    return "\n".join(_section(config, ())).lstrip("\n") + "\n"


def _section(model: BaseModel, path: tuple[str, ...]) -> Iterable[str]:
    """Yield the lines of a section: first its own keys, then the sections within it."""
    import tomli_w

    values, fields = model.model_dump(mode="json"), type(model).model_fields
    if path:
        yield f"\n[{'.'.join(path)}]"
    for name, value in values.items():
        if not isinstance(value, dict):
            yield f"# {fields[name].description}"
            yield tomli_w.dumps({name: value}).rstrip("\n")
    for name, value in values.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel) and not isinstance(inner, Choice):
            yield from _section(inner, (*path, name))
        elif isinstance(value, dict):
            yield f"\n# {fields[name].description}\n{tomli_w.dumps(nested((*path, name), value))}".rstrip("\n")


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables, each with its keys joined by dots."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a value as nested tables, by a path of keys: {"a": {"b": value}}."""
    for key in reversed(path):
        value = {key: value}
    return value
