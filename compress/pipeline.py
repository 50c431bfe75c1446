"""The stages in order, each input linked to the earlier stages that make it.

This is the only file that names all stages. Adding one is adding its file to stages/ and a row here.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from compress import estimate
from compress.estimate import Estimate
from compress.stages import bench, data, distill, export, prune, quantize, report, teacher, unbalanced


@dataclass(frozen=True)
class Stage:
    """A row of the pipeline.

    `section` is the config section that `run` takes as `config` (the stage's name, if not given). Of the other
    parameters of `run`, one whose type is a pydantic model takes the section of its name, which several stages may
    share; the rest take artifacts. One of type `tuple[T, ...]` takes all that earlier stages make of type T, in order,
    any other what the stage of its name makes, or the stage to which `rename` maps it.

    Where settings have an attribute or property `measures_speed` that is true, the result hangs on measured speed: it
    holds for this machine alone, whose fingerprint is then in the key.

    `product` is what the result is called, where the stage should not name it after its input. `share` is the stage's
    usual part of a run's time, relative to the others; `estimate` tells `plan` what it would cost. `link` fills
    `inputs`: by parameter, the stages that make it.
    """

    name: str
    module: ModuleType
    share: float
    section: str = ""
    product: str = ""
    estimate: Callable[..., Estimate | None] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
    def artifacts(self) -> list[str]:
        """The parameters that take artifacts."""
        return [name for name in self._parameters if name not in ("out", "context") and not self._is_section(name)]

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages whose artifacts the stage takes, each once."""
        return tuple(dict.fromkeys(source for sources in self.inputs.values() for source in sources))

    @property
    def fingerprint(self) -> Callable[[Any, Path], str] | None:
        """What outside of the project the result depends on, such as images.

        A function of the config and of a file in which it may remember what took long to find out.
        """
        return getattr(self.module, "fingerprint", None)

    def input_type(self, parameter: str) -> type:
        """Return the type of artifact or settings that a parameter takes; of one that gathers, the type of each."""
        return typing.get_args(self._types[parameter])[0] if self.gathers(parameter) else self._types[parameter]

    def gathers(self, parameter: str) -> bool:
        """Whether a parameter takes what all earlier stages make of a type."""
        return typing.get_origin(self._types[parameter]) is tuple

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.module.run).parameters)

    def _is_section(self, parameter: str) -> bool:
        return not self.gathers(parameter) and issubclass(self._types[parameter], BaseModel)


def link(pipeline: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the pipeline, the inputs of each stage filled in.

    Raises `TypeError` where an input is not made earlier, or with another type, and where two stages have one name.
    """
    made: dict[str, type] = {}
    linked: list[Stage] = []
    for stage in pipeline:
        inputs = {parameter: _makers(stage, parameter, made) for parameter in stage.artifacts}
        if stage.name in made:
            raise TypeError(f"stage {stage.name}: there are two of this name")
        made[stage.name] = stage.output_type
        linked.append(replace(stage, inputs=inputs))
    return tuple(linked)


def _makers(stage: Stage, parameter: str, made: Mapping[str, type]) -> tuple[str, ...]:
    """Return the stages that make a parameter; `made` holds for each earlier stage the type of what it makes."""
    kind, name = stage.input_type(parameter), stage.rename.get(parameter, parameter)
    makers = tuple(source for source, made_type in made.items() if made_type is kind)
    if stage.gathers(parameter):
        if not makers:
            raise TypeError(f"stage {stage.name}: no earlier stage makes a {kind.__name__} for its input {parameter}")
        return makers
    if name not in makers:
        raise TypeError(f"stage {stage.name}: no earlier stage {name} makes its input {parameter}")
    return (name,)


PIPELINE = link(
    (
        Stage("data", data, share=1),
        Stage("teacher", teacher, share=28, estimate=estimate.of_teacher),
        Stage("prune", prune, share=33, product="pruned", rename={"network": "teacher"}, estimate=estimate.of_prune),
        Stage("quantize", quantize, share=5, rename={"network": "prune"}),
        Stage("distill", distill, share=10, rename={"source": "quantize"}, estimate=estimate.of_distill),
        Stage("quantize_student", quantize, share=1, section="quantize", rename={"network": "distill"}),
        Stage("export", export, share=5),
        Stage("bench", bench, share=14),
        Stage("unbalanced", unbalanced, share=1, section="teacher", estimate=estimate.of_unbalanced),
        Stage("report", report, share=2, section="deploy"),
    )
)
