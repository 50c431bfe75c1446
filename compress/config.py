"""A run's settings: one TOML section per stage, validated by that stage's own Config, and sections that stages share.

Values come from the defaults, then `--config FILE.toml`, then `--preset NAME`, then separate options such as
`--data SPEC`, then each `--set key.path=value`; later ones override earlier ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from compress.durations import seconds_of
from compress.errors import BadInputError
from compress.files import decoded, home_expanded
from compress.pipeline import PIPELINE
from compress.plugins import nearest
from compress.toml import flat, nested

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _folder(value: Any) -> Any:
    if value == "":
        raise ValueError("should name a folder")
    return home_expanded(value) if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(_folder)]


class _Run(BaseModel):
    """The settings that belong to no stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: Literal["auto", "none"] = Field(
        "auto", description="auto: what is not set is decided from the data, each with its reason; none: the defaults."
    )
    budget: str = Field(
        "",
        description="The time that the whole run may take, into which it plans itself, such as 30m, 2h or 1h30m; "
        "empty: as long as it takes.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="The one seed of splits, weights, batches and augmentation.")
    workspace: Folder = Field(Path(".compress"), description="Folder of cached stages and checkpoints.")
    exported: Folder = Field(Path("exported"), description="Folder in which the finished bundle appears.")

    @field_validator("budget", mode="before")
    @classmethod
    def _is_a_time(cls, budget: Any, info: ValidationInfo) -> str:
        if budget != "":
            seconds_of(str(budget))
            if info.data.get("recipe") == "none":
                raise ValueError("should be empty with recipe = 'none', by which nothing is decided")
        return str(budget)


_SECTIONS: dict[str, Any] = {
    section: (row.input_type(parameter), Field(default_factory=row.input_type(parameter)))
    for row in PIPELINE
    for parameter, section in row.sections.items()
}
Config = create_model("Config", __base__=_Run, **_SECTIONS)
"""The whole tree: `_Run`'s settings and the sections of all stages."""

MOVED = {
    "teacher.name": "teacher.architecture",
    "teacher.options": "teacher.architecture.options",
    "distill.options": "distill.student.options",
    "distill.loss_options": "distill.loss.options",
}
"""Keys in files of earlier versions, and their names now."""

NOT_MIXED = {"mixup": 0.0, "cutmix": 0.0}  # prune.mixing, as most files of earlier versions have it
LOCAL: Any = {"workspace": True, "exported": True, "data": {"source", "root"}, "teacher": {"weights"}}
"""The settings that hold paths, for pydantic to leave out."""


def load(
    file: Path | None = None,
    preset: str | None = None,
    assignments: Iterable[str] = (),
    options: Mapping[str, dict[str, Any]] | None = None,
) -> _Run:
    """Return the effective configuration; raises `BadInputError` with one line about the first mistake.

    `options` holds the settings from other command line options, by the name that messages use for the option.
    """
    values, origins = dict[str, Any](), dict[tuple[str, ...], str]()
    if file is not None:
        _merge(values, _read_toml(file), origins, str(file))
    if preset is not None:
        _merge(values, _read_preset(preset), origins, f"preset {preset}")
    for origin, option in (options or {}).items():
        _merge(values, option, origins, origin)
    for assignment in assignments:
        _merge(values, _parse_assignment(assignment), origins, f"--set {assignment}")
    return _validated(values, origins)


def given_keys(settings: BaseModel, prefix: str = "") -> frozenset[str]:
    """Return the dotted keys that were set, such as distill.student.options.width; what has its default is not there.

    A list, such as teacher.phases, is one key.
    """
    keys: set[str] = set()
    for name in settings.model_fields_set:
        value, key = getattr(settings, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            keys |= given_keys(value, f"{key}.")
        elif isinstance(value, dict):
            keys |= {f"{key}.{option}" for option in value}
        else:
            keys.add(key)
    return frozenset(keys)


def changes(config: BaseModel) -> dict[str, Any]:
    """Return the settings that differ from their defaults as JSON values, by dotted key.

    Those that say where files lie on this machine are left out: they are not of use elsewhere, and not for others.
    """
    own, usual = (dict(flat(values.model_dump(mode="json", exclude=LOCAL))) for values in (config, type(config)()))
    # What is chosen without options is its name alone, so that `student.name` is then `student`
    before = {key: usual.get(key, usual.get(key.removesuffix(".name"), ...)) for key in own}
    return {key: value for key, value in own.items() if before[key] != value}


def updated(config: BaseModel, values: Mapping[str, Any], origin: str) -> _Run:
    """Return a configuration with some dotted keys set besides those that are; raises `BadInputError` as `load` does.

    `origin` is what messages call the source of the values.
    """
    merged = config.model_dump(exclude_unset=True)
    origins: dict[tuple[str, ...], str] = {}
    for key, value in values.items():
        _merge(merged, nested(key.split("."), value), origins, origin)
    return _validated(merged, origins)


def preset_names() -> list[str]:
    """Return the names that `--preset` takes."""
    folder = resources.files("compress") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _validated(values: dict[str, Any], origins: dict[tuple[str, ...], str]) -> _Run:
    prune = values.get("prune")
    if isinstance(prune, dict) and prune.get("mixing") == NOT_MIXED:
        values = {**values, "prune": {key: value for key, value in prune.items() if key != "mixing"}}
    try:
        return Config(**values)
    except ValidationError as error:
        raise BadInputError(_first_mistake(error, origins)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        file = Path(os.path.expanduser(path))  # noqa: PTH111  # no shell expands --config=~/run.toml
        return tomllib.loads(decoded(file.read_bytes()))
    except OSError as error:
        right = f"should be --preset {path}" if str(path) in preset_names() else "--config takes a readable TOML file"
        raise BadInputError(f"{path}: {error.strerror}; {right}") from error
    except UnicodeDecodeError as error:
        at = f"byte {error.start} is {error.object[error.start]:#04x}"
        raise BadInputError(f"{path}: not TOML, which is UTF-8: {at}; should be saved as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path}: not TOML: {error}") from error


def _read_preset(name: str) -> dict[str, Any]:
    known = preset_names()
    if name not in known and Path(name).is_file():
        raise BadInputError(f"--preset {name}: is a file; should be --config {name}, or one of {', '.join(known)}")
    if name not in known:
        raise BadInputError(f"--preset {name}: there is no such preset; {nearest(name, known)}")
    return tomllib.loads((resources.files("compress") / "presets" / f"{name}.toml").read_text("utf-8"))


def _parse_assignment(assignment: str) -> dict[str, Any]:
    path, equals, text = assignment.partition("=")
    if not equals or not all(path.split(".")):
        raise BadInputError(f"--set {assignment}: takes key.path=value, such as prune.sparsity=0.9")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a word without quotes is a string
    return nested(path.split("."), value)


def _merge(
    into: dict[str, Any],
    values: dict[str, Any],
    origins: dict[tuple[str, ...], str],
    origin: str,
    path: tuple[str, ...] = (),
) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), str):
            into[key] = {"name": into[key]}  # the name of a plug-in, whose options follow
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, origins, origin, (*path, key))
        else:
            into[key] = value
            origins[(*path, key)] = origin


def _first_mistake(error: ValidationError, origins: dict[tuple[str, ...], str]) -> str:
    mistake = error.errors(include_url=False)[0]
    path = tuple(str(part) for part in mistake["loc"])
    key = ".".join(path)
    prefixes = [path[:n] for n in range(len(path), 0, -1)]
    origin = next((origins[prefix] for prefix in prefixes if prefix in origins), "the defaults")
    if mistake["type"] == "extra_forbidden" and key in MOVED:
        return f"{origin}: {key} is {MOVED[key]} now"
    if mistake["type"] == "extra_forbidden":
        return f"{origin}: there is no key {key}; {nearest(key, _known_keys(Config))}"
    message = mistake["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if mistake["type"] in ("model_type", "dict_type"):
        message = "should be a section with its own keys"
    value = "" if isinstance(mistake["input"], dict) else f" = {mistake['input']!r}"
    return f"{origin}: {key}{value}: {message}"


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"{prefix}{name}"
            yield from _known_keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
