"""What the user gave as the data, and the source that reads it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import field_validator

from compress import plugins
from compress.data.kinds import kind_of
from compress.files import home_expanded


class Source(plugins.Choice):
    """Labelled images, given by a spec that exactly one source claims: the name of a data set, a file or a folder."""

    package, entry = "compress.data.sources", "load"
    name: str = "digits"

    @field_validator("name", mode="before")
    @classmethod
    def _may_be_below_home(cls, name: Any) -> Any:
        return home_expanded(name) if isinstance(name, str) else name

    @classmethod
    def find(cls, name: str) -> ModuleType:
        """Return the module of the source that claims a spec.

        A data set takes precedence over a folder of the same name, which can be given as `./NAME`. If there is none,
        raises `ValueError`, which says what the file is, or a close name.
        """
        name = home_expanded(name)
        known = plugins.names(cls.package)
        modules = (plugins.find(cls.package, source) for source in sorted(known, key=lambda source: source != name))
        try:
            claimants = [module for module in modules if name and module.claims(name)]
            if not claimants and name and Path(name).exists():
                raise ValueError(kind_of(Path(name)))
        except OSError as error:  # such as a name that is too long
            raise ValueError(f"cannot be accessed: {error.strerror}") from error
        if not claimants:
            sets = [*(source for source in known if plugins.find(cls.package, source).claims(source)), "tfds:NAME"]
            raise ValueError(
                f"there is no such file or folder, and no data set of that name; {plugins.nearest(name, sets)}"
            )
        return claimants[0]
