"""Plug-ins that a config chooses by name, such as teachers, students, losses and calibrators, one module each.

A plug-in is found by its file name in the package of its kind, so that adding one means adding one file.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from typing import Self


class Choice(BaseModel):
    """A plug-in's name and its options, as one field of a stage's settings.

    Each kind of plug-in is a subclass that states the package of its files, the function in each file whose keyword
    parameters are the options, and the default name:

        class Student(Choice):
            package, entry = "students", "build"
            name: str = "plain"

    In TOML, a name alone stands for a choice without options: `student = "plain"`. Name and options are checked while
    the settings load; messages name the key as the user wrote it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    package: ClassVar[str]
    entry: ClassVar[str]

    name: str
    options: dict[str, Any] = {}

    @property
    def module(self) -> ModuleType:
        """The plug-in's module."""
        return self.find(self.name)

    @property
    def function(self) -> Callable[..., Any]:
        """The plug-in's function with its options already filled in."""
        return partial(getattr(self.module, self.entry), **self.options)

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """Return the same plug-in with its options updated by these; raises `pydantic.ValidationError`."""
        return type(self)(name=self.name, options={**self.options, **options})

    @classmethod
    def find(cls, name: str) -> ModuleType:
        """Import the plug-in `name`; if there is no such file, raises `ValueError` with the closest name there is."""
        return find(cls.package, name)

    @model_validator(mode="wrap")
    @classmethod
    def _may_be_a_name_alone(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, str):
            cls.find(value)  # checked here, so that the message names the key that holds the text
            value = {"name": value}
        elif not isinstance(value, (dict, cls)):
            raise ValueError("should be a name, or a section with name and options")
        return validate(value)

    @field_validator("name")
    @classmethod
    def _exists(cls, name: str) -> str:
        cls.find(name)
        return name

    @field_validator("options")
    @classmethod
    def _are_options_of_the_plugin(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "name" in info.data:  # otherwise the name has been refused already
            _check_options(getattr(cls.find(info.data["name"]), cls.entry), options)
        return options

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> Any:
        return serialize(self) if self.options else self.name


def modules_of(settings: BaseModel) -> list[str]:
    """Return the names of the modules that settings choose, however deeply nested."""
    if isinstance(settings, Choice):
        return [settings.module.__name__]
    fields = (value if isinstance(value, tuple) else (value,) for _, value in settings)
    return [name for values in fields for value in values if isinstance(value, BaseModel) for name in modules_of(value)]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the closest known name, or all of them if nothing is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def names(package: str) -> list[str]:
    """Return the names of the plug-ins in a package."""
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]


def find(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of a package; if there is no such file, raises `ValueError` with the closest name."""
    known = names(package)
    if name not in known:
        raise ValueError(f"there is no {name!r} in {package.replace('.', '/')}/; {nearest(name, known)}")
    return importlib.import_module(f"{package}.{name}")


def _check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check options against a function's keyword parameters; raises `pydantic.ValidationError`."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in options:
        if name not in fields:
            hint = nearest(name, fields) if fields else "this plug-in has no options"
            message = PydanticCustomError("unknown_option", "there is no such option; {hint}", {"hint": hint})
            unknown = InitErrorDetails(type=message, loc=(name,), input=options[name])
            raise ValidationError.from_exception_data("options", [unknown])
    create_model("options", __config__=ConfigDict(strict=True), **fields)(**options)
