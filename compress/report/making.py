"""The parts of report.json that say how its models were made: on what, by which stages, in which trainings."""

from __future__ import annotations

from pydantic import JsonValue

from compress.report.part import Count, Fraction, Part


class Host(Part):
    """The machine on which latencies were measured, as described by `machine.host`."""

    processor: str
    machine: str
    cores: Count
    memory_bytes: Count
    system: str
    device_class: str
    gpu: str = ""


class Skip(Part):
    """A measurement that this machine could not make, and why."""

    what: str
    why: str


class Stage(Part):
    """A stage: the key of its result, whether that came from the cache, and the time and memory of making it."""

    name: str
    key: str
    cached: bool
    seconds: float
    peak_rss_bytes: int


class Epoch(Part):
    """An epoch, from 1: learning rate at its end, mean training loss, validation scores (cross entropy in nats)."""

    epoch: Count
    learning_rate: float
    loss: float
    validation_accuracy: Fraction
    validation_cross_entropy: float
    validation_recall: Fraction | None = None  # the mean over classes


class Training(Part):
    """One of a network's trainings: its precision, its epochs, of at most `limit` (0: not known), and warnings.

    `kept` is the epoch whose weights it ends with, 0 for those that it began with, None in earlier reports.
    """

    name: str
    precision: str
    limit: Count = 0
    kept: Count | None = None
    history: tuple[Epoch, ...]
    warnings: tuple[str, ...]


class Trial(Part):
    """Something that was tried for a network or an int8 model: higher scores are better, lower costs cheaper to run."""

    what: str
    score: float
    cost: float
    taken: bool


class Damage(Part):
    """What quantizing a layer alone does: the logits' ratio of signal to noise, decibels, and the points lost by it."""

    layer: str
    signal_to_noise: float
    lost: float


class Decision(Part):
    """A setting that nobody gave, what the recipe decided for it from the data, and why."""

    key: str
    value: JsonValue
    reason: str
