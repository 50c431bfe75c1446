"""What a config may name: one module for each teacher, student, data source and loss.

Plug-ins are found by their file name in the package that holds their kind; adding one is adding one file.
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
    """A plug-in by its name, and options for it: one field of a stage's settings.

    Each kind of plug-in is a subclass, which names the package that holds its files, the function in each file whose
    keyword parameters are the options, and the default:

        class Student(Choice):
            package, entry = "students", "build"
            name: str = "plain"

    In TOML, a name alone is a choice without options: `student = "plain"`. Name and options are checked while the
    settings load; a message names the key as it was written.
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
        """The plug-in's function, its options given."""
        return partial(getattr(self.module, self.entry), **self.options)

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """Return the same plug-in with these options over its own; raises `pydantic.ValidationError`."""
        return type(self)(name=self.name, options={**self.options, **options})

    @classmethod
    def find(cls, name: str) -> ModuleType:
        """Import the plug-in of a name; raises `ValueError` with the nearest real name."""
        return find(cls.package, name)

    @model_validator(mode="wrap")
    @classmethod
    def _may_be_a_name_alone(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, str):
            cls.find(value)  # here, where the key is the choice's own
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
        if "name" in info.data:  # else it is refused itself
            _check_options(getattr(cls.find(info.data["name"]), cls.entry), options)
        return options

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> Any:
        return serialize(self) if self.options else self.name


def modules_of(settings: BaseModel) -> list[str]:
    """Return the names of the modules that settings choose, in whatever depth."""
    if isinstance(settings, Choice):
        return [settings.module.__name__]
    fields = (value if isinstance(value, tuple) else (value,) for _, value in settings)
    return [name for values in fields for value in values if isinstance(value, BaseModel) for name in modules_of(value)]


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


def _check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check options against a function's keyword parameters; raises `pydantic.ValidationError`."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in options:
        if name not in fields:
            real = nearest(name, fields) if fields else "there are none"
            words = PydanticCustomError("unknown_option", "there is no such option; {real}", {"real": real})
            unknown = InitErrorDetails(type=words, loc=(name,), input=options[name])
            raise ValidationError.from_exception_data("options", [unknown])
    create_model("options", __config__=ConfigDict(strict=True), **fields)(**options)
