"""Score every model, choose the one to deploy, and write the bundle with the evidence beside it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Bundle, Dataset, Models, Timings
from compress.context import Context


class Config(BaseModel):
    """What may be deployed, under which name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        description="The bundle's name; empty: the data's name.",
    )
    max_drop: float = Field(
        0.5,
        ge=0,
        le=100,
        description="Percentage points of validation accuracy that may be lost against the teacher.",
    )


def fingerprint(config: Config) -> str:
    """Return a digest of the template that the bundle's README is made from."""
    from compress.store import sha256_file

    return sha256_file(Path(__file__).parent.parent / "bundle" / "readme.md.jinja")


def run(config: Config, export: Models, bench: Timings, data: Dataset, out: Path, context: Context) -> Bundle:
    """Write the bundle: the fastest model within `max_drop`, all variants, labels, report and manifest."""
    from compress.bundle.choice import choose
    from compress.bundle.report import build_report
    from compress.bundle.write import write_bundle
    from compress.onnx_tools import sessions

    probabilities = {}
    for i, model in enumerate(export.models):
        context.progress(i / len(export.models), f"scoring {model.id}")
        session = sessions.open_session(model.file)
        probabilities[model.id] = {
            split: sessions.run(session, data.images(split), "probabilities") for split in ("validation", "test")
        }
    name = config.name or data.name
    report = build_report(name, export.models, probabilities, bench, data, context)
    report["deployed"] = choose(report["models"], config.max_drop)
    context.progress(1.0, "writing the bundle")
    write_bundle(out / "bundle", report, export.models, data, context.config_toml)
    return Bundle(name=name, deployed=report["deployed"], folder=out / "bundle")
