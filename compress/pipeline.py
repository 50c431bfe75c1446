"""The stages in order, and the check that each one's inputs are made by an earlier one, with the same type.

This is the only file that names all stages. Adding one is adding its file to stages/ and a row here.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from compress import estimate
from compress.estimate import Estimate
from compress.stages import bench, data, distill, export, prune, quantize, report, teacher


@dataclass(frozen=True)
class Stage:
    """A row of the pipeline.

    `section` is the config section it reads (its name, if not given); `rename` maps a parameter of `run` to the stage
    whose result it takes, where the two are named differently; `share` is its usual part of a run's time;
    `estimate` tells `plan` what it would cost.
    """

    name: str
    module: ModuleType
    share: float
    section: str = ""
    estimate: Callable[..., Estimate] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name)

    @property
    def config_type(self) -> type[BaseModel]:
        """The stage's own settings."""
        return self.module.Config

    @property
    def summary(self) -> str:
        """The first line of the stage's docstring."""
        return (self.module.__doc__ or "").partition("\n")[0]

    @cached_property
    def _types(self) -> dict[str, Any]:
        return typing.get_type_hints(self.module.run)

    @property
    def output_type(self) -> type:
        """The type of artifact that the stage makes."""
        return self._types["return"]

    @property
    def inputs(self) -> dict[str, str]:
        """Return `{parameter: stage}` for every artifact that the stage takes."""
        names = [n for n in inspect.signature(self.module.run).parameters if n not in ("config", "out", "context")]
        return {name: self.rename.get(name, name) for name in names}

    @property
    def fingerprint(self) -> Callable[[Any], str] | None:
        """What outside of the project the result depends on (images, the machine), as a function of the config."""
        return getattr(self.module, "fingerprint", None)

    def input_type(self, parameter: str) -> type:
        """Return the type of artifact that a parameter takes."""
        return self._types[parameter]


def check(pipeline: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return the pipeline; raises `TypeError` where an input is not made earlier, or with another type."""
    made: dict[str, type] = {}
    for stage in pipeline:
        for parameter, source in stage.inputs.items():
            if made.get(source) is not stage.input_type(parameter):
                raise TypeError(f"stage {stage.name}: no earlier stage {source} makes its input {parameter}")
        made[stage.name] = stage.output_type
    return pipeline


PIPELINE = check(
    (
        Stage("data", data, share=0.01),
        Stage("teacher", teacher, share=0.29, estimate=estimate.of_teacher),
        Stage("prune", prune, share=0.33, estimate=estimate.of_prune),
        Stage("quantize", quantize, share=0.05, rename={"network": "prune"}),
        Stage("distill", distill, share=0.10, estimate=estimate.of_distill),
        Stage("quantize_student", quantize, share=0.01, section="quantize", rename={"network": "distill"}),
        Stage("export", export, share=0.05),
        Stage("bench", bench, share=0.14),
        Stage("report", report, share=0.02, section="deploy"),
    )
)
