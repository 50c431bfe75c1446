"""Measure the latency of every model, on every provider that this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from compress.artifacts import Dataset, Exported, Timings
from compress.context import Context


class Config(BaseModel):
    """The batch sizes and the time to measure."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    measures_speed: ClassVar[bool] = True

    batches: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (1, 32), description="Images per call; must include 1, by which the model to deploy is chosen."
    )
    seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Time for each combination of provider, threads and batch, all models together.",
    )

    @field_validator("batches")
    @classmethod
    def _batch_1_is_measured(cls, batches: tuple[int, ...]) -> tuple[int, ...]:
        if 1 not in batches:
            raise ValueError("1 should be among the batch sizes")
        return batches


def run(config: Config, export: Exported, data: Dataset, out: Path, context: Context) -> Timings:
    """Return raw latencies. The artifact holds all of them; no file is written."""
    from compress.data.images import images_of
    from compress.latency.bench.all_providers import measure

    images = images_of(data, "validation")[: max(config.batches)]
    timings = measure(export.models, images, config.batches, config.seconds, context.seed, context.progress)
    for skip in timings.skipped:
        context.note(f"{context.stage}: skipped {skip.what}: {skip.why}")
    return timings
