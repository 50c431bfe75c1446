"""The stages in order, and the check that each one's inputs are made by an earlier one, with the same type.

This is the only file that names all stages. Adding one is adding its file to stages/ and a row here.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from compress import estimate
from compress.estimate import Estimate
from compress.stages import bench, control, data, distill, export, prune, quantize, report, teacher


@dataclass(frozen=True)
class Stage:
    """A row of the pipeline.

    `section` is the config section that `run` takes as `config` (the stage's name, if not given). Of the other
    parameters of `run`, one whose type is a pydantic model takes the section of its name, which several stages may
    share; the rest take artifacts: `rename` maps one to the stage that makes it, where the two are named differently.
    `share` is the stage's usual part of a run's time; `estimate` tells `plan` what it would cost.
    """

    name: str
    module: ModuleType
    share: float
    section: str = ""
    estimate: Callable[..., Estimate | None] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name)

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
    def sections(self) -> dict[str, str]:
        """Return `{parameter: config section}` for all settings that the stage takes."""
        return {name: self.section if name == "config" else name for name in self._parameters if self._is_section(name)}

    @property
    def trains(self) -> bool:
        """Whether the stage trains a network, in which several processes can take part."""
        return "train" in self.sections

    @property
    def inputs(self) -> dict[str, str]:
        """Return `{parameter: stage}` for every artifact that the stage takes."""
        names = [n for n in self._parameters if n not in ("out", "context") and not self._is_section(n)]
        return {name: self.rename.get(name, name) for name in names}

    @property
    def fingerprint(self) -> Callable[[Any, Path], str] | None:
        """What outside of the project the result depends on (images, the machine).

        A function of the config and of a file in which it may remember what took long to find out.
        """
        return getattr(self.module, "fingerprint", None)

    def input_type(self, parameter: str) -> type:
        """Return the type of artifact or settings that a parameter takes."""
        return self._types[parameter]

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.module.run).parameters)

    def _is_section(self, parameter: str) -> bool:
        return issubclass(self._types[parameter], BaseModel)


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
        Stage("teacher", teacher, share=0.28, estimate=estimate.of_teacher),
        Stage("prune", prune, share=0.33, estimate=estimate.of_prune),
        Stage("quantize", quantize, share=0.05, rename={"network": "prune"}),
        Stage("distill", distill, share=0.10, estimate=estimate.of_distill),
        Stage("quantize_student", quantize, share=0.01, section="quantize", rename={"network": "distill"}),
        Stage("export", export, share=0.05),
        Stage("bench", bench, share=0.14),
        Stage("control", control, share=0.01, section="teacher", estimate=estimate.of_control),
        Stage("report", report, share=0.02, section="deploy"),
    )
)
