"""The artifacts that flow between stages: small frozen handles on files in the store, never live models or tensors.

A path inside an artifact is absolute while a program runs, and relative to the stage's folder in its manifest, so that
a workspace can be moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, SerializationInfo, TypeAdapter, ValidationInfo

from compress.kernels import Inspection

if TYPE_CHECKING:
    import numpy as np


def _absolute(value: Any, info: ValidationInfo) -> Any:
    return info.context["folder"] / value if info.context else value


def _relative(path: Path, info: SerializationInfo) -> str:
    return path.relative_to(info.context["folder"]).as_posix() if info.context else str(path)


StoredFile = Annotated[Path, BeforeValidator(_absolute), PlainSerializer(_relative)]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Dataset:
    """Labelled images in three splits; every image is `(height, width, channels) uint8`.

    `preparation` holds the settings by which an image file becomes such an image. The folder holds `data.json`, a
    description of the images; `compress.data.images` reads the pixels.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    sizes: dict[Split, int]
    preparation: dict[str, Any]
    folder: StoredFile

    def labels(self, split: Split) -> np.ndarray:
        """Return the labels of a split, indices into `classes`: `(n,) int64`."""
        import numpy as np

        return np.load(self.folder / f"{split}_labels.npy", allow_pickle=False)


@dataclass(frozen=True)
class EpochResult:
    """The result of an epoch, counted from 1, of the training of that name: a stage may train more than once.

    `validation_recall` is the mean of the classes' recalls.
    """

    training: str
    epoch: int
    learning_rate: float
    loss: float
    validation_accuracy: float
    validation_recall: float
    validation_cross_entropy: float


@dataclass(frozen=True)
class Trial:
    """Evidence of something that was tried, such as a set of widths; it is the same on every machine.

    `what` describes it in words, `score` is how good it was (higher is better), `cost` what it costs to run (lower is
    better; never a measured time, which differs from run to run), `taken` whether the result was made from it.
    """

    what: str
    score: float
    cost: float
    taken: bool


@dataclass(frozen=True)
class Network:
    """A Keras network as code and weights: the architecture is built from teachers/ or students/, then loaded.

    `history` is the course of its trainings, `precision` is `{training: precision it was computed in}`, `limits` is
    `{training: the most epochs that it could take}`, `kept` is `{training: the epoch whose weights it ends with}`, 0
    for those that it began with. `widths` is `{layer: channels}` for the layers that have fewer channels than the code
    gives them. `predicted_ms` is `{network: milliseconds}`, its own and that of the network it was pruned from, as they
    were predicted for one image in ONNX Runtime, in float with one thread, where widths were chosen by that.
    """

    name: str
    stage: str
    family: Literal["teachers", "students"]
    architecture: str
    options: dict[str, Any]
    image_shape: tuple[int, int, int]
    classes: int
    weights: StoredFile
    history: tuple[EpochResult, ...] = ()
    precision: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    predicted_ms: dict[str, float] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file: `image (batch, height, width, channels) uint8` in, `logits` and `probabilities` out.

    `target` is the `quantize.target` that an int8 model was made for, empty for others.
    """

    name: str
    stage: str
    precision: str
    image_shape: tuple[int, int, int]
    classes: int
    file: StoredFile
    target: str = ""

    @property
    def id(self) -> str:
        """The model's name in reports and file names, such as `pruned-int8`."""
        return f"{self.name}-{self.precision}"


@dataclass(frozen=True)
class Damage:
    """What quantizing one layer alone, named by its node, does to a network's answers on validation images.

    `signal_to_noise` is that of the logits, in decibels, `lost` the percentage points of the score.
    """

    layer: str
    signal_to_noise: float
    lost: float


@dataclass(frozen=True)
class Models:
    """A network as ONNX, in one or more precisions; `network` is the network's name.

    `trials` are ways to quantize it, `damages` its layers, the worst first, if they were tried alone.
    """

    network: str
    models: tuple[OnnxModel, ...]
    trials: tuple[Trial, ...] = ()
    damages: tuple[Damage, ...] = ()

    def of(self, precision: str) -> OnnxModel:
        """Return the model in a precision, such as `int8`; raises `KeyError`."""
        return {model.precision: model for model in self.models}[precision]


@dataclass(frozen=True)
class Exported:
    """Every model that could be deployed, the teacher first."""

    models: tuple[OnnxModel, ...]


@dataclass(frozen=True)
class Score:
    """How many of a split's images were classified correctly: counts, from which intervals can be computed."""

    split: Split
    correct: int
    n: int


@dataclass(frozen=True)
class Unbalanced:
    """The teacher's score on each class, in order, if it is trained without balancing; None if nothing is balanced."""

    scores: tuple[Score, ...] | None


@dataclass(frozen=True)
class Latencies:
    """Raw latencies of one model in one setting; `samples_ns` holds one entry per call, in nanoseconds."""

    model: str
    provider: str
    threads: int
    batch: int
    samples_ns: tuple[int, ...]


@dataclass(frozen=True)
class Skip:
    """A measurement that could not be made on this machine, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Timings:
    """All latencies measured in one run on one machine, and what models run as there, by their ids."""

    host: dict[str, Any]
    latencies: tuple[Latencies, ...]
    skipped: tuple[Skip, ...] = field(default=())
    inspections: dict[str, Inspection] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A finished bundle, as it is published to exported/NAME."""

    name: str
    deployed: str
    folder: StoredFile


def to_json(artifact: Any, folder: Path) -> Any:
    """Return an artifact as plain JSON values, its paths relative to `folder`."""
    return TypeAdapter(type(artifact)).dump_python(artifact, mode="json", context={"folder": folder})


def from_json(kind: type, value: Any, folder: Path) -> Any:
    """Rebuild an artifact of type `kind`; raises `pydantic.ValidationError` if the values do not fit it."""
    return TypeAdapter(kind).validate_python(value, context={"folder": folder})
