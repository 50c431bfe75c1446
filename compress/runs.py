"""Runs from Python: what the command does, and its bundle as an object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.bundle.classifier import Classifier, ImageLike, Prediction, load
from compress.commands.settings import load as load_settings
from compress.errors import BadInputError, CompressError
from compress.report.file import FILE, read
from compress.report.schema import Report


@dataclass(frozen=True)
class Finished:
    """The bundle of a finished run; in a notebook it shows the head of its page by itself."""

    folder: Path

    @cached_property
    def report(self) -> Report:
        """The typed report.json."""
        return read(self.folder / FILE)

    @cached_property
    def classifier(self) -> Classifier:
        """The deployed model, loaded."""
        return load(self.folder)

    def predict(self, images: ImageLike | Sequence[ImageLike], top: int = 1) -> list[Prediction]:
        """Return what the deployed model says of each image, see `Classifier.predict`."""
        return self.classifier.predict(images, top)

    def _repr_html_(self) -> str:
        from compress.report.page import head

        return head(self.report)


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    preset: str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    budget: str | None = None,
    skip_bad: bool = False,
) -> Finished:
    """Do what `python -m compress all` does, in a process of its own, print what it prints, and return its bundle.

    `data`, `preset`, `config`, `budget` and `skip_bad` are the command's options, `settings` are values by dotted key,
    such as `{"teacher.epochs": 6}`, or dicts of dicts. What is finished is not run again.

    Raises `BadInputError` if something given is wrong, `CompressError` if the run fails.
    """
    assignments = list(_assignments(settings or {}))
    given = {"--data": data, "--preset": preset, "--config": config, "--budget": budget}
    options = [part for option, value in given.items() if value is not None for part in (option, os.fspath(value))]
    options += [part for assignment in assignments for part in ("--set", assignment)]
    options += ["--skip-bad"] * skip_bad
    loaded = load_settings(
        None if config is None else Path(config),
        preset,
        None if data is None else os.fspath(data),
        skip_bad,
        budget,
        assignments,
    )
    _run([sys.executable, "-m", "compress", "all", *options])
    return Finished((loaded.exported / (loaded.deploy.name or loaded.data.name)).resolve())


def _run(command: Sequence[str]) -> None:
    """Run a command, and print its lines as they come: a notebook shows what Python prints, not what processes do."""
    last, environment = "", {**os.environ, "PYTHONIOENCODING": "utf-8"}
    pipe = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "encoding": "utf-8",
        "errors": "replace",
    }
    with subprocess.Popen(command, env=environment, **pipe) as process:  # type: ignore[call-overload]
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                last = line.strip() or last
        except BaseException:
            process.terminate()  # otherwise it would go on, and hold the workspace
            raise
    if process.returncode:
        error = BadInputError if process.returncode == BadInputError.exit_code else CompressError
        raise error(last.removeprefix("error: "))


def _assignments(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield settings, also those in dicts of dicts, as the option --set takes them."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _assignments(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={_as_toml(value, prefix + name)}"


def _as_toml(value: Any, key: str) -> str:
    """Return a value as TOML on one line; raises `BadInputError` for what TOML has no value for."""
    if isinstance(value, str | os.PathLike):
        return json.dumps(os.fspath(value))  # TOML's basic strings have JSON's escapes
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(name)} = {_as_toml(each, key)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_as_toml(each, key) for each in value)}]"
    raise BadInputError(f"{key} = {value!r:.60}: should be text, a number, true or false, or a list or dict of these")
