"""report.json, schema 1, as a type: what a run's models reach, cost and take, and how they were made.

Keys are only ever added, each with a default: older reports stay readable, and a key that is not known is ignored.
Fractions are from 0 to 1, intervals at 95 %; what cannot be told is None.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, model_validator

from compress.onnx_tools.providers import CPU

SCHEMA: Final = 1

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[Fraction, Fraction]


class _Part(BaseModel, frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True):
    """What holds for every part: no number is NaN, no type is converted."""


class Host(_Part):
    """The machine on which latencies were measured, as `machine.host` tells it."""

    processor: str
    machine: str
    cores: Count
    memory_bytes: Count
    system: str
    device_class: str
    gpu: str = ""


class Run(_Part):
    """What was run: on which data, with which seed, by which versions of libraries, where."""

    name: str
    data: str
    classes: tuple[str, ...]
    n_train: Count
    n_validation: Count
    n_test: Count
    seed: int
    versions: dict[str, str]
    host: Host


class LeftOut(_Part):
    """An image that could not be read, and why."""

    name: str
    why: str


class Data(_Part):
    """What of data.json concerns the figures; leaks count images, or groups, by pair of splits (`train/test`)."""

    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    leaks: dict[str, Count]
    group_leaks: dict[str, Count]


class BalancedClass(_Part):
    """The teacher's recall of a class of `train` training and `n` test images, without and with balance."""

    name: str = Field(alias="class")
    train: Count
    n: Count
    unbalanced: Fraction | None = Field(alias="without")
    balanced: Fraction | None = Field(alias="with")


class Balance(_Part):
    """How classes were balanced, and what that did for each; no rows where they were not."""

    method: str
    recall: tuple[BalancedClass, ...]


class ClassMetrics(_Part):
    """How a model does on the `n` images of one class; None without images."""

    n: Count
    precision: Fraction | None
    recall: Fraction | None
    f1: Fraction | None
    recall_ci95: Interval | None


class Metrics(_Part):
    """How a model does on the `n` images of a split.

    Precision, recall and F1 are macro averages, `log_loss` is in nats, `confusion` is by true, then predicted class.
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


class PairedTest(_Part):
    """A model against the teacher, image by image; `drop_ci95` is in percentage points."""

    only_teacher_right: Count
    only_model_right: Count
    mcnemar_p: Fraction
    drop_ci95: tuple[float, float]


class Comparison(_Part):
    """How a model differs from the teacher: the drop in points, the flips as a fraction; no test with itself."""

    drop_vs_teacher: float
    flips_vs_teacher: Fraction
    vs_teacher: PairedTest | None


class HeldOut(Comparison, Metrics):  # pydantic takes the fields of the last base first
    """How a model does on a split that was not trained on, by itself and against the teacher."""


class Latency(_Part):
    """A model's latency in one setting, from `runs` calls of `batch` images; a percentile of too few calls is None."""

    provider: str
    threads: Count
    batch: Count
    runs: Count
    p50_ms: Positive
    p90_ms: Positive | None
    p99_ms: Positive | None
    throughput_per_s: float


class Measured(_Part):
    """What a model costs, reaches and takes: all from which the one to deploy is chosen."""

    id: str
    stage: str
    precision: str
    file: str
    params: Count
    nonzero_params: Count
    sparsity: Fraction
    macs: Count
    test: HeldOut
    validation: HeldOut
    latency: tuple[Latency, ...]

    def p50_ms(self, threads: int = 1, batch: int = 1) -> float:
        """Return the median latency on the CPU in milliseconds; raises `KeyError` for a setting not measured."""
        return {(row.provider, row.threads, row.batch): row.p50_ms for row in self.latency}[CPU, threads, batch]

    @model_validator(mode="after")
    def _one_image_on_one_thread_is_measured(self) -> Measured:
        if (CPU, 1, 1) not in {(row.provider, row.threads, row.batch) for row in self.latency}:
            raise ValueError(f"should have the latency of {CPU}, threads 1, batch 1")
        return self


class Model(Measured):
    """A model of the bundle: as measured, and the size of its file, as it is and compressed by Zstandard."""

    size_bytes: Count
    size_zstd_bytes: Count


class Skip(_Part):
    """What this machine could not do, and why."""

    what: str
    why: str


class Stage(_Part):
    """How a stage went: the key of its result, whether that was there before, and what making it took."""

    name: str
    key: str
    cached: bool
    seconds: float
    peak_rss_bytes: int


class Epoch(_Part):
    """An epoch, from 1: the rate at its end, the mean training loss, and how the validation images did (nats)."""

    epoch: Count
    learning_rate: float
    loss: float
    validation_accuracy: Fraction
    validation_cross_entropy: float


class Training(_Part):
    """One of a network's trainings: in which precision, epoch by epoch, and what in it should be looked at."""

    name: str
    precision: str
    history: tuple[Epoch, ...]
    warnings: tuple[str, ...]


class Report(_Part):
    """The whole report. The teacher is the first of `models`; `training` is by the network's name, in order of time."""

    schema_: Literal[1] = Field(alias="schema")
    run: Run
    data: Data
    balance: Balance
    deployed: str
    models: tuple[Model, ...] = Field(min_length=1)
    skipped: tuple[Skip, ...]
    stages: tuple[Stage, ...]
    training: dict[str, tuple[Training, ...]] = Field(default_factory=dict)

    @property
    def teacher(self) -> Model:
        """The model with which the others are compared."""
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
