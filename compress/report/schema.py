"""report.json, schema 1, as a type: the accuracy, cost and latency of a run's models, and how they were made.

Keys are only ever added, each with a default, so that older reports stay readable; unknown keys are ignored. Fractions
are between 0 and 1, intervals at 95 %; a figure that cannot be given is None.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue, model_validator

from compress.onnx_tools.providers import CPU
from compress.report.kernels import Kernels
from compress.report.making import Damage, Decision, Host, Skip, Stage, Training, Trial
from compress.report.part import Count, Fraction, Interval, Part, Positive

SCHEMA: Final = 1


class Run(Part):
    """The facts of a run: its data, seed, versions of libraries, and machine."""

    name: str
    data: str
    classes: tuple[str, ...]
    n_train: Count
    n_validation: Count
    n_test: Count
    seed: int
    versions: dict[str, str]
    host: Host


class LeftOut(Part):
    """An image that could not be read, and why."""

    name: str
    why: str


class Data(Part):
    """The part of data.json that matters for the figures; leaks are counts by pair of splits (`train/test`).

    `counts` are the images of each class by split. `test_sha256` tells the test images, as the network sees them, and
    their order; it is empty in earlier reports.
    """

    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    leaks: dict[str, Count]
    group_leaks: dict[str, Count]
    counts: dict[str, dict[str, Count]] = Field(default_factory=dict)
    test_sha256: str = ""


class BalancedClass(Part):
    """The teacher's recall on a class with `train` training and `n` test images, without and with balancing."""

    name: str = Field(alias="class")
    train: Count
    n: Count
    unbalanced: Fraction | None = Field(alias="without")
    balanced: Fraction | None = Field(alias="with")


class Balance(Part):
    """How classes were balanced, and the effect on each class; no rows if they were not."""

    method: str
    recall: tuple[BalancedClass, ...]


class ClassMetrics(Part):
    """A model's scores on the `n` images of one class; None if there are no images."""

    n: Count
    precision: Fraction | None
    recall: Fraction | None
    f1: Fraction | None
    recall_ci95: Interval | None


class CalibrationBin(Part):
    """The `n` images whose highest probability is in one of 15 ranges: its mean, and how many are right."""

    n: Count
    confidence: Fraction
    accuracy: Fraction


class Metrics(Part):
    """A model's scores on a split's `n` images: macro averages, `log_loss` in nats, `confusion` rows by true class.

    `calibration` has the bins that hold images, from low to high.
    """

    n: Count
    accuracy: Fraction
    accuracy_ci95: Interval
    top5_accuracy: Fraction | None
    top5_accuracy_ci95: Interval | None
    precision: Fraction
    recall: Fraction
    f1: Fraction
    precision_ci95: Interval
    recall_ci95: Interval
    f1_ci95: Interval
    auc: Fraction | None
    calibration_error: Fraction
    log_loss: float = Field(ge=0)
    class_recall: dict[str, Fraction | None]
    classes: dict[str, ClassMetrics]
    confusion: tuple[tuple[Count, ...], ...] | None
    calibration: tuple[CalibrationBin, ...] = ()


class PairedTest(Part):
    """A model compared with the teacher image by image; `drop_ci95` is in percentage points."""

    only_teacher_right: Count
    only_model_right: Count
    mcnemar_p: Fraction
    drop_ci95: tuple[float, float]


class Comparison(Part):
    """How a model differs from the teacher: drop in points, share of changed answers, test (None for itself)."""

    drop_vs_teacher: float
    flips_vs_teacher: Fraction
    vs_teacher: PairedTest | None


class HeldOut(Comparison, Metrics):  # pydantic takes the fields of the last base first
    """A model's scores on a split that was not trained on, by themselves and compared with the teacher's."""


class Latency(Part):
    """A model's latency in one setting, over `runs` calls of `batch` images; percentiles of too few calls are None."""

    provider: str
    threads: Count
    batch: Count
    runs: Count
    p50_ms: Positive
    p90_ms: Positive | None
    p99_ms: Positive | None
    throughput_per_s: float

    @property
    def is_usual(self) -> bool:
        """Whether it is that of one image on one thread of the CPU, which every model has."""
        return (self.provider, self.threads, self.batch) == (CPU, 1, 1)


class Layer(Part):
    """A convolution or dense layer: how many channels it gives, the weights of its kernel, and how many are zero."""

    name: str
    width: Count
    weights: Count
    zeros: Count


class Measured(Part):
    """A model with its cost, accuracy and latency, from which the one to deploy is chosen.

    `kernels` is what it runs as for one image on one thread of the CPU, None in earlier reports.
    """

    id: str
    stage: str
    precision: str
    file: str
    params: Count
    nonzero_params: Count
    sparsity: Fraction
    macs: Count
    layers: tuple[Layer, ...] = ()
    test: HeldOut
    validation: HeldOut
    latency: tuple[Latency, ...]
    kernels: Kernels | None = None

    def p50_ms(self, threads: int = 1, batch: int = 1) -> float:
        """Return the median latency on the CPU in milliseconds; raises `KeyError` if the setting was not measured."""
        return {(row.provider, row.threads, row.batch): row.p50_ms for row in self.latency}[CPU, threads, batch]

    @model_validator(mode="after")
    def _one_image_on_one_thread_is_measured(self) -> Measured:
        if not any(row.is_usual for row in self.latency):
            raise ValueError(f"should have the latency of {CPU}, threads 1, batch 1")
        return self


class Model(Measured):
    """A measured model with the size of its file in the bundle, plain and compressed with Zstandard."""

    size_bytes: Count
    size_zstd_bytes: Count


class Report(Part):
    """The whole report. The teacher is the first of `models`.

    `training` is by network name, each in order of time, `trials` are what was tried for a network or an int8 model,
    `damages` what int8 does to each layer alone, by model, the worst first. `predicted_ms` is how long networks were
    predicted to take per image, in float with one thread, where widths were chosen by that. `settings` are those that
    were given and differ from their defaults, but for paths. `advice` has a line for each thing that would probably
    have helped.
    """

    schema_: Literal[1] = Field(alias="schema")
    run: Run
    data: Data
    balance: Balance
    deployed: str
    models: tuple[Model, ...] = Field(min_length=1)
    skipped: tuple[Skip, ...]
    stages: tuple[Stage, ...]
    training: dict[str, tuple[Training, ...]] = Field(default_factory=dict)
    trials: dict[str, tuple[Trial, ...]] = Field(default_factory=dict)
    damages: dict[str, tuple[Damage, ...]] = Field(default_factory=dict)
    predicted_ms: dict[str, Positive] = Field(default_factory=dict)
    recipe: tuple[Decision, ...] = ()
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    advice: tuple[str, ...] = ()

    @property
    def teacher(self) -> Model:
        """The teacher, with which the other models are compared."""
        return self.models[0]

    @property
    def deployed_model(self) -> Model:
        """The model that was chosen."""
        return next(model for model in self.models if model.id == self.deployed)

    @model_validator(mode="after")
    def _the_deployed_model_is_there(self) -> Report:
        if self.deployed not in {model.id for model in self.models}:
            raise ValueError(f"deployed = {self.deployed!r:.60}: should be the id of one of the models")
        return self
