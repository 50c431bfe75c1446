"""The stages in order, with each input linked to the earlier stages that make it.

This is the only file that names all stages. To add one, add its file to stages/ and a row here.
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
from compress.stages import bench, data, distill, export, prune, prune_student, quantize, report, teacher, unbalanced


@dataclass(frozen=True)
class Stage:
    """A row of the pipeline.

    `section` is the config section that `run` takes as `config`, by default the one with the stage's name. Another
    parameter of `run` whose type is a pydantic model takes the section of its name, which several stages may share. The
    remaining parameters take artifacts: one of type `tuple[T, ...]` takes everything of type T that earlier stages
    make, in order; any other takes what the stage of its name makes, or the stage to which `rename` maps it.

    If settings have a true attribute or property `measures_speed`, the result depends on measured speed. It is then
    valid only for this machine, whose fingerprint becomes part of the key. `network` is the config section whose
    `network` says what a stage trains, by default the stage's own.

    `product` is the name of the result, if the stage should not name it after its input. `estimate` computes what the
    stage costs, see estimate.py; without it, `seconds` is what it usually takes. `link` fills `inputs`, `{parameter:
    stages that make it}`.
    """

    name: str
    module: ModuleType
    seconds: float = 1.0
    section: str = ""
    product: str = ""
    network: str = ""
    estimate: Callable[..., Estimate] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name)
        object.__setattr__(self, "network", self.network or self.section)

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

    def settings(self, config: Any, settled: Mapping[str, BaseModel]) -> dict[str, BaseModel]:
        """Return the stage's settings by parameter: those that are settled, else those of the config's sections."""
        return {name: getattr(config, section) for name, section in self.sections.items()} | dict(settled)

    @property
    def trains(self) -> bool:
        """Whether the stage trains a network, which several processes can do together."""
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
        """The function that returns a digest of what the result depends on outside the project, such as images.

        Its arguments are the config, None if the stage has none, and a file in which it may keep what took long to
        compute.
        """
        return getattr(self.module, "fingerprint", None)

    def input_type(self, parameter: str) -> type:
        """Return the type of artifact or settings that a parameter takes; the type of an item if it takes a tuple."""
        return typing.get_args(self._types[parameter])[0] if self.gathers(parameter) else self._types[parameter]

    def gathers(self, parameter: str) -> bool:
        """Whether a parameter takes everything of a type that earlier stages make."""
        return typing.get_origin(self._types[parameter]) is tuple

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.module.run).parameters)

    def _is_section(self, parameter: str) -> bool:
        return not self.gathers(parameter) and issubclass(self._types[parameter], BaseModel)


def link(pipeline: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the pipeline with the inputs of each stage filled in.

    Raises `TypeError` if no earlier stage makes an input, or makes it with another type, or if two stages have the same
    name.
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
    """Return the stages that make a parameter; `made` is `{earlier stage: type of its artifact}`."""
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
        Stage("data", data),
        Stage("teacher", teacher, estimate=estimate.of_teacher),
        Stage(
            "prune",
            prune,
            product="pruned",
            network="teacher",
            rename={"network": "teacher"},
            estimate=estimate.of_prune,
        ),
        Stage("quantize", quantize, rename={"network": "prune"}, estimate=estimate.of_quantize),
        Stage("distill", distill, rename={"source": "quantize"}, estimate=estimate.of_distill),
        Stage(
            "prune_student",
            prune_student,
            network="distill",
            rename={"network": "distill"},
            estimate=estimate.of_prune_student,
        ),
        Stage(
            "quantize_student",
            quantize,
            section="quantize",
            rename={"network": "prune_student"},
            estimate=estimate.of_quantize,
        ),
        Stage("export", export, estimate=estimate.of_export),
        Stage("bench", bench, estimate=estimate.of_bench),
        Stage("unbalanced", unbalanced, section="teacher", estimate=estimate.of_unbalanced),
        Stage("report", report, section="deploy", estimate=estimate.of_report),
    )
)
