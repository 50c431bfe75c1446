"""Train the teacher on labels, with augmentation and early stopping on the validation split."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from compress import pretrained, weight_files
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.errors import naming
from compress.files import home_expanded
from compress.plugins import Choice
from compress.training.settings import Engine, LabelSettings, Phase

if TYPE_CHECKING:
    from compress.training.fit import Fitted

PRETRAINED: dict[str, Any] = {"batch_norm": False, "scaling": "caffe"}  # as ImageNet's VGG weights were trained
NAMED = (pretrained.IMAGENET, pretrained.NONE)  # what teacher.weights may be besides a file


class Architecture(Choice):
    """An architecture in teachers/."""

    package, entry = "teachers", "build"
    name: str = "vgg16"


class Config(LabelSettings):
    """The architecture, its initial weights, and how to train it."""

    architecture: Architecture = Field(
        Architecture(), description="A file in teachers/; its options are those of its build(), such as width."
    )
    weights: str = Field(
        "none",
        description="Initial weights. Of the trunk: imagenet (Keras's file), or a file of VGG16's weights (.h5, "
        ".weights.h5, .keras or .npz; its first layer takes blue, green, red, as Keras's does), with which the "
        "architecture's options have batch_norm false and scaling caffe. Of all layers: the weights.npz or teacher.npz "
        "of an earlier run. Or none.",
    )
    phases: tuple[Phase, ...] = Field(
        (), description="Trainings before that of all layers: first the head, then some of the last blocks with it."
    )
    epochs: int = Field(
        6,
        ge=0,
        le=10_000,
        description="Passes over the training images, at most, after the phases; with 0 and no phases, weights of all "
        "layers are taken as they are.",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_built_as_its_weights_tell(cls, values: Any) -> Any:
        weights = values.get("weights") if isinstance(values, dict) else None
        if not isinstance(weights, str) or weights in NAMED:
            return values
        from compress import trained_weights

        try:
            file = Path(home_expanded(weights))
        except ValueError:  # refused with the setting itself
            return values
        with naming("teacher.weights"):
            weight_files.check_file(file)
            told = trained_weights.described(file) if trained_weights.is_whole(file) else None
            if told is None:
                return values
            told_choice = trained_weights.architecture(told, Architecture, file)
        given = values.get("architecture", told_choice)
        return {**values, "architecture": trained_weights.agreed(given, told_choice, file)}

    @field_validator("weights")
    @classmethod
    def _may_be_below_home(cls, weights: str) -> str:
        return home_expanded(weights)

    @model_validator(mode="after")
    def _can_be_trained(self) -> Config:
        teacher, name = self.architecture.module, self.architecture.name
        blocks = getattr(teacher, "BLOCKS", ())
        has_trunk = self.weights != pretrained.NONE and not self.is_whole
        if not blocks and (self.phases or has_trunk):
            raise ValueError(f"teachers/{name}.py has no BLOCKS, which phases and weights need; see teachers/vgg16.py")
        if self.weights == pretrained.IMAGENET and not hasattr(teacher, "IMAGENET"):
            raise ValueError(f"weights = 'imagenet': teachers/{name}.py has none; should be a file, or none")
        for key, value in PRETRAINED.items() if has_trunk else ():
            if key not in inspect.signature(teacher.build).parameters:
                raise ValueError(
                    f"teachers/{name}.py has no option {key}, which weights need to be {value!r}; see teachers/vgg16.py"
                )
            given = self.architecture.options.get(key, value)
            if given != value:
                raise ValueError(f"architecture.options.{key} = {given!r}: should be {value!r} with teacher.weights")
        if not self.trains and not self.is_whole:
            raise ValueError(
                "epochs = 0: trains no layer; should be 1 or more, or have teacher.phases before it, or "
                "teacher.weights of all layers"
            )
        for i, phase in enumerate(self.phases):
            if phase.blocks > len(blocks):
                raise ValueError(
                    f"phases[{i}].blocks = {phase.blocks}: should be at most {len(blocks)}, the blocks of {name}"
                )
        return self

    @property
    def is_whole(self) -> bool:
        """Whether `weights` are those of all layers, as a run wrote them."""
        if self.weights in NAMED:
            return False
        from compress import trained_weights

        return trained_weights.is_whole(Path(self.weights))

    @property
    def trains(self) -> bool:
        """Whether anything is trained; otherwise the teacher is what `weights` hold."""
        return bool(self.epochs or self.phases)

    @property
    def costs(self) -> list[float]:
        """About what each phase, and then the training of all layers, costs, in epochs of training all layers."""
        blocks = len(self.architecture.module.BLOCKS) if self.phases else 1
        return [*(phase.cost(blocks, self.mixing.is_on) for phase in self.phases), self.epochs]

    @property
    def built(self) -> Architecture:
        """The architecture, with the options that published weights require."""
        is_trunk = self.weights != pretrained.NONE and not self.is_whole
        return self.architecture.with_options(PRETRAINED if is_trunk else {})

    @property
    def network(self) -> tuple[str, Choice]:
        """The family and the choice of the network that is trained."""
        return "teachers", self.built

    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the result depends on; `fingerprint` covers the content of a file of weights."""
        return {**self.model_dump(mode="json"), "weights": self.weights if self.weights in NAMED else "a file"}


def fingerprint(config: Config, memo: Path) -> str:
    """Return the sha256 of the file of weights, the md5 of the published file, or an empty text without weights."""
    if config.weights == pretrained.NONE:
        return ""
    if config.weights == pretrained.IMAGENET:
        return config.architecture.module.IMAGENET["md5"]
    from compress.digests import file_digests

    return file_digests([config.weights], memo)[0]


def run(config: Config, balance: Balance, train: Engine, data: Dataset, out: Path, context: Context) -> Network:
    """Write the trained teacher's weights."""
    from compress import networks

    model, trainings = fit_teacher(config, balance, train, data, context)
    networks.save(model, out / "weights.npz")
    return Network(
        name=context.product or "teacher",
        stage=context.stage,
        family="teachers",
        architecture=config.architecture.name,
        options=config.built.options,
        image_shape=data.image_shape,
        classes=len(data.classes),
        weights=out / "weights.npz",
        history=tuple(epoch for fitted in trainings for epoch in fitted.history),
        precision={fitted.name: fitted.precision for fitted in trainings},
        limits={fitted.name: fitted.limit for fitted in trainings},
        kept={fitted.name: fitted.kept for fitted in trainings},
    )


def fit_teacher(
    config: Config, balance: Balance, engine: Engine, data: Dataset, context: Context
) -> tuple[Any, list[Fitted]]:
    """Return the trained Keras model, and the course of each phase of its training."""
    from compress import networks
    from compress.tensorflow import start_afresh
    from compress.training.beginning import begin_trunk, begin_whole, judge
    from compress.training.checkpoint import START
    from compress.training.supervised import fit_to_labels, label_batches
    from compress.training.transfer import fit_phase

    start_afresh(context.seed)
    teacher, built, whole = config.architecture.module, config.built, config.is_whole
    model = networks.build("teachers", built.name, built.options, data.image_shape, len(data.classes))
    if config.weights != pretrained.NONE:
        file = pretrained.file_of(config.weights, teacher)
        with naming("teacher.weights"):
            if whole:
                begin_whole(model, file, data, context)
            else:
                begin_trunk(model, teacher.BLOCKS, file, data, context)
    if not config.trains:
        judge(model, data, context)
        return model, []
    batches = label_batches(data, config, balance, context.seed)
    costs = config.costs
    shares = [cost / sum(costs) for cost in costs]
    trainings = []
    for number, phase in enumerate(config.phases, start=1):
        part = context.part(sum(shares[: number - 1]), sum(shares[:number]))
        fitted = fit_phase(
            model, teacher.BLOCKS, phase, number, batches, data, config, engine, part, balance.metric, is_trained=whole
        )
        trainings.append(fitted)
    if config.epochs:
        may_stop_from = START if config.phases or whole else 0
        rest = context.part(1.0 - shares[-1], 1.0)
        trainings.append(
            fit_to_labels(
                model, batches, data, config, engine, rest, may_stop_from=may_stop_from, metric=balance.metric
            )
        )
    return model, trainings
