"""Score every model, choose the one to deploy, and write the bundle with the evidence beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Bundle, Dataset, Exported, Models, Network, OnnxModel, Split, Timings, Unbalanced
from compress.context import Context
from compress.data.balance import Balance

if TYPE_CHECKING:
    from compress.report.evidence import Evidence


class Config(BaseModel):
    """Which models may be deployed, and the bundle's name and licence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        description="The bundle's name; empty: the data's name.",
    )
    license: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.+-]{0,64}$",
        description="The model's licence as an SPDX identifier such as MIT; empty: no licence, all rights reserved.",
    )
    golden: Literal["images", "noise", "none"] = Field(
        "images",
        description="What golden.npz holds for verify: validation images, noise, or none for no such file. With "
        "images, report.html shows some of the data too; without, the bundle holds none and names no file.",
    )
    max_drop: float = Field(
        0.5,
        ge=0,
        le=100,
        description="Percentage points of the teacher's validation accuracy that a model may lose; of mean recall if "
        "classes are balanced.",
    )
    keep_teacher: bool = Field(
        False, description="Put the teacher's weights into the bundle as teacher.npz, which teacher.weights takes."
    )


def fingerprint(config: Config, memo: Path) -> str:
    """Return a digest of the files that go into a bundle as they are: its programs, and the templates of its texts."""
    from compress.bundle.card import TEMPLATES
    from compress.bundle.write import programs
    from compress.files import sha256_file, sha256_json
    from compress.report import file

    of_page = [file.TEMPLATES[name] for name in (file.PAGE, file.MARKDOWN)]
    paths = (*TEMPLATES.values(), *of_page, *file.PARTS, *programs().values())
    return sha256_json([sha256_file(path) for path in paths])


def run(
    config: Config,
    balance: Balance,
    networks: tuple[Network, ...],
    quantized: tuple[Models, ...],
    export: Exported,
    bench: Timings,
    unbalanced: Unbalanced,
    data: Dataset,
    out: Path,
    context: Context,
) -> Bundle:
    """Write the bundle: the fastest model within `max_drop`, all variants, labels, report and manifest."""
    from compress import trained_weights
    from compress.bundle.answers import write_answers
    from compress.bundle.contents import ANSWERS, TEACHER
    from compress.bundle.write import write_models, write_texts
    from compress.data.describe import description_of, without_names
    from compress.report.build import (
        balance_report,
        build_report,
        measured_models,
        run_facts,
        with_sizes,
    )
    from compress.report.choice import choose
    from compress.report.page import write as write_page

    probabilities = _probabilities(export.models, data, context)
    measured = measured_models(export.models, probabilities, bench, data)
    deployed = choose(measured, config.max_drop, balance.metric)
    context.progress(1.0, "writing the bundle")
    folder = out / "bundle"
    facts = run_facts(config.name or data.name, data, bench, context)
    manifest = write_models(folder, export.models, deployed, facts, data, config.license, config.golden, context)
    if config.keep_teacher:
        trained_weights.keep(networks[0], data.classes, folder / TEACHER)
    description = description_of(data) if config.golden == "images" else without_names(description_of(data))
    balanced = balance_report(balance.method, measured[0], unbalanced, data)
    report = build_report(
        facts, with_sizes(measured, folder), deployed, balanced, networks, quantized, bench, description, context
    )
    write_answers(folder / ANSWERS, data.labels("test"), [probabilities[model.id]["test"] for model in measured])
    context.progress(1.0, "drawing the page")
    chosen = probabilities[deployed]["test"], probabilities[report.teacher.id]["test"]
    write_page(folder, report, _evidence(bench, data, *chosen, with_images=config.golden == "images"))
    write_texts(folder, report, manifest, data, description, config.golden, context.settings.toml)
    return Bundle(name=report.run.name, deployed=deployed, folder=folder)


def _evidence(bench: Timings, data: Dataset, deployed: Any, teacher: Any, with_images: bool) -> Evidence:
    """Return what the page shows besides the report; the probabilities `(n, classes)` are those on test."""
    from compress.data.images import images_of
    from compress.report.evidence import Evidence, examples, samples

    if not with_images:
        return Evidence(bench.latencies, no_images="no images: deploy.golden keeps those of the data out of the bundle")
    lost, gained = examples(images_of(data, "test"), data.labels("test"), deployed, teacher, data.classes)
    shown = samples(images_of(data, "train"), data.labels("train"), data.classes)
    return Evidence(bench.latencies, shown, lost, gained)


def _probabilities(models: Sequence[OnnxModel], data: Dataset, context: Context) -> dict[str, dict[str, Any]]:
    """Return each model's probabilities `(n, classes) float32`, by its id and the split; hold no model afterwards."""
    from compress.data.images import images_of
    from compress.onnx_tools.scoring import run_all
    from compress.onnx_tools.sessions import open_session
    from compress.onnx_tools.signature import PROBABILITIES

    # Several sessions run alternately: threads that wait in a busy loop would take the cores from the others
    opened = {model.id: open_session(model.file, spinning=False) for model in models}
    probabilities: dict[str, dict[str, Any]] = {model.id: {} for model in models}
    held_out: tuple[Split, ...] = ("validation", "test")
    for i, split in enumerate(held_out):
        context.progress(i / len(held_out), f"scoring all models on {split}")
        for name, scores in run_all(opened, images_of(data, split), PROBABILITIES).items():
            probabilities[name][split] = scores
    return probabilities
