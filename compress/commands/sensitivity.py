"""The command that tells which layers bear pruning."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import typer

from compress.commands.settings import takes_settings

SENSITIVITY = "compress.pruning.sensitivity"

app = typer.Typer()


@app.command()
@takes_settings
def sensitivity(settings: Callable[..., Any]) -> None:
    """Prune each of the teacher's layers alone, at several rates, and show what that costs in accuracy.

    Nothing is trained after it. Filters go in the order of prune.importance, weights by their size; accuracy is that on
    validation images. Layers that cost much can be left whole with prune.whole; prune.rates=sensitivity has filters go
    where they cost least.
    """
    from compress.commands.planning import Planner
    from compress.commands.run import artifacts_up_to
    from compress.data.describe import description_of
    from compress.files import sha256_file, sha256_json
    from compress.fingerprint import code_digest
    from compress.pipeline import PIPELINE
    from compress.report.sensitivity import files, read, tables, write
    from compress.store import Store
    from compress.terminal import terminal

    loaded = settings()
    made = artifacts_up_to("teacher", loaded)
    data, teacher = made["data"], made["teacher"]
    console = terminal()
    config, _ = Planner(PIPELINE, loaded, Store(loaded.workspace), console, quietly=True).decided()
    judged_by = config.prune.importance.model_dump(mode="json"), config.prune.importance_images
    measured = sha256_file(teacher.weights), description_of(data)["split_sha256"], code_digest([SENSITIVITY])
    key = sha256_json([*measured, config.balance.metric, judged_by, config.seed])
    folder = loaded.workspace / "sensitivity" / data.name
    found = read(folder, key)
    if found is None:
        with console.status("measuring") as status:
            found = _measured(teacher, data, config, key, lambda words: status.update(f"measuring: {words}"))
        write(found, folder)
    for table in tables(found):
        console.print(table)
    if "filters" not in {kind.what for kind in found.kinds}:
        console.print("no layer can lose filters alone", highlight=False)
    console.print(f"{', '.join(files(found))}: {folder}{os.sep}", highlight=False, soft_wrap=True)


def _measured(teacher: Any, data: Any, config: Any, key: str, tell: Callable[[str], None]) -> Any:
    from compress import networks
    from compress.context import stage_seed
    from compress.pruning.sensitivity import REMOVED, of_network
    from compress.report.sensitivity import Kind, Layer, Sensitivity
    from compress.tensorflow import start_afresh

    seed, metric = stage_seed(config.seed, "prune"), config.balance.metric
    start_afresh(seed)
    model, kinds = networks.load(teacher), []
    measured = of_network(model, ("weights", "filters"), config.prune, data, metric, seed, tell)
    for what, (names, scores) in measured.items():
        layers = tuple(
            Layer(name=" + ".join(of), scores=values) for of, values in zip(names, scores.layers, strict=True)
        )
        kinds.append(Kind(what=what, images=scores.images, whole=scores.whole, layers=layers))
    return Sensitivity(key=key, data=data.name, metric=metric, removed=REMOVED, kinds=tuple(kinds))
