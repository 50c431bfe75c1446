"""The parts of a stage's key: everything that its result depends on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from compress import fingerprint, machine
from compress.files import sha256_json
from compress.pipeline import Stage
from compress.plugins import modules_of
from compress.store import Store

InputKeys = dict[str, list[list[str]]]  # by parameter: [name, key] of each stage that makes it


def parts_of(
    stage: Stage, settings: dict[str, BaseModel], seed: int, input_keys: InputKeys, store: Store
) -> dict[str, Any]:
    """Return everything that a stage's result depends on; `settings` are its settings by parameter."""
    config = settings.get("config")
    modules = [stage.module.__name__, *(name for section in settings.values() for name in modules_of(section))]
    shared = {
        parameter: getattr(section, "key_settings", lambda section=section: section.model_dump(mode="json"))()
        for parameter, section in settings.items()
    }
    measures_speed = any(getattr(section, "measures_speed", False) for section in settings.values())
    return {
        "inputs": input_keys,
        "config": shared.pop("config", {}),
        **shared,
        "code": fingerprint.code_digest(modules),
        "versions": fingerprint.library_versions(modules),
        "seed": seed,
        "device": machine.device_class(),
        "machine": sha256_json(machine.host()) if measures_speed else "",
        "product": stage.product,
        "outside": stage.fingerprint(config, store.memo) if stage.fingerprint else "",
    }


def what_changed(parts: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Return a text on which parts of a key differ from those of the stage's newest entry."""
    if before is None:
        return "never made"
    changes = []
    for part, value in parts.items():
        old = before.get(part)
        if old == value:
            continue
        if isinstance(value, dict) and isinstance(old, dict) and part != "inputs":
            names = sorted(set(value) | set(old))
            changes += [f"{n} {old.get(n)} -> {value.get(n)}" for n in names if old.get(n) != value.get(n)]
        elif part == "inputs":
            changes.append(f"input {', '.join(_changed_inputs(value, old if isinstance(old, dict) else {}))}")
        else:
            changes.append({"outside": "what it reads"}.get(part, part))
    return "changed: " + ", ".join(changes)


def _changed_inputs(inputs: InputKeys, before: dict[str, Any]) -> list[str]:
    """Return the stages whose result is another than before; if there are none, the parameters whose stages differ."""
    changed = [
        source
        for parameter, keys in inputs.items()
        for source, key in keys
        if [source, key] not in list(before.get(parameter, []))
    ]
    return list(dict.fromkeys(changed)) or [name for name, keys in inputs.items() if keys != before.get(name)]
