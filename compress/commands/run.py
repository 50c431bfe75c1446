"""The commands that run the pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.commands.settings import SPEC, takes_settings
from compress.pipeline import PIPELINE

app = typer.Typer()

Live = Annotated[
    bool, typer.Option("--live", help="Show the run on a page, live.html in the workspace, as long as it works.")
]


def run_up_to(last: str, config: Any, live: bool = False) -> Any:
    """Run the pipeline up to a stage, publish the bundle if the stage makes one, and return its artifact.

    With `live`, a page shows the run while it works.
    """
    return artifacts_up_to(last, config, live)[last]


def artifacts_up_to(last: str, config: Any, live: bool = False) -> dict[str, Any]:
    """Do as `run_up_to` does, and return the artifacts of all stages, by their names."""
    from compress.followers import take_part
    from compress.terminal import terminal
    from compress.training.cluster import bind_gpu, cluster_of
    from compress.training.peers import taking_part

    pipeline = PIPELINE[: [stage.name for stage in PIPELINE].index(last) + 1]
    console = terminal()
    cluster = cluster_of(config.train.strategy)
    if cluster is None:
        return _run(pipeline, config, None, console, live)
    role = "the chief" if cluster.is_chief else "which follows the chief"
    console.print(f"{config.train.strategy}: this is {cluster}, {role}", highlight=False, soft_wrap=True)
    too_few = bind_gpu(config.train.strategy)
    if too_few:
        console.print(too_few, highlight=False, soft_wrap=True)
    with taking_part(cluster, config.workspace) as peers:
        if cluster.is_chief:
            return _run(pipeline, config, peers, console, live)
        take_part(pipeline, config, peers, console)
    raise typer.Exit


def _run(pipeline: Any, config: Any, peers: Any, console: Any, live: bool) -> Any:
    """Run the pipeline, with the other processes of a cluster if there are `peers`."""
    from compress import course, runner
    from compress.artifacts import Bundle
    from compress.bundle.publish import check_stays, check_writable
    from compress.commands.planning import Planner
    from compress.engines import precisions_of
    from compress.followers import keys_of, will_train
    from compress.plural import counted
    from compress.progress import Progress
    from compress.store import Store

    store = Store(config.workspace)
    if pipeline[-1].output_type is Bundle:
        name = config.deploy.name or config.data.name
        check_writable(config.exported, name)
        if not config.deploy.keep_teacher:
            check_stays(Path(config.teacher.weights), config.exported, name)
    with runner.locked(config.workspace):
        planner = Planner(pipeline, config, store, console)
        deadline = planner.deadline(config.budget) if config.budget else None
        plan = deadline.begin() if deadline else planner.usual()
        meet, trains = None, will_train(plan.steps)
        if peers:
            told = [asdict(decision) for decision in plan.decisions]
            keys, precisions = keys_of(plan.steps), precisions_of(plan.settled)
            peers.say(decisions=told, keys=keys, precisions=precisions, trains=trains)
        if trains and config.train.strategy != "none":  # otherwise TensorFlow, which takes seconds, may not be needed
            from compress.training import distribution

            with console.status("waiting for the other processes"):
                meet = distribution.join(config.train.strategy, peers).wait_for_chief
        page = _live_page(config, store, console) if live else None
        try:
            with Progress(console, page) as progress:
                before = deadline.before if deadline else course.as_planned
                finished = course.run(plan, store, progress, meet, before)
        except BaseException:
            if page:
                page.end("stopped")
            raise
        cached = sum(record.cached for record in finished.records)
        console.print(
            f"{counted(len(pipeline), 'stage')}, {cached} of them finished before", highlight=False, soft_wrap=True
        )
        results = {stage.name: runner.load_artifact(stage, finished.entries[stage.name]) for stage in pipeline}
        result = results[pipeline[-1].name]
        report = _show(console, result, config.exported) if isinstance(result, Bundle) else None
        if page:
            page.end("finished", report)
        return results


def _live_page(config: Any, store: Any, console: Any) -> Any:
    from compress.live import Live
    from compress.report.file import LIVE

    path = config.workspace / LIVE
    console.print(f"live: {path}", highlight=False, soft_wrap=True)
    return Live(path, store.logs, config.data.name, config.balance.method != "none", console.print)


def _show(console: Any, bundle: Any, exported: Path) -> Path:
    """Publish a bundle, print what its report says, and return its page."""
    from compress.bundle.publish import publish
    from compress.report.file import FILE, PAGE, read
    from compress.report.table import balance_lines, comparison_lines, prediction_lines, report_table

    target = publish(bundle, exported)
    report = read(target / FILE)
    console.print(report_table(report))
    lines = (*comparison_lines(report), *prediction_lines(report))
    for line in (*lines, *report.data.warnings, *balance_lines(report), *report.advice):
        console.print(line, highlight=False, soft_wrap=True)
    for skip in report.skipped:
        console.print(f"skipped {skip.what}: {skip.why}", highlight=False, soft_wrap=True)
    console.print(f"report: {target / PAGE}", highlight=False, soft_wrap=True)
    console.print(f"bundle: {target}{os.sep}", highlight=False, soft_wrap=True)
    return target / PAGE


def _stage_command(name: str, summary: str) -> Callable[..., None]:
    @takes_settings
    def command(settings: Callable[..., Any], live: Live = False) -> None:
        run_up_to(name, settings(), live)

    command.__doc__ = summary
    return command


@app.command("data", rich_help_panel="Stages, in order")
@partial(takes_settings, without="data")
def inspect(
    settings: Callable[..., Any],
    spec: Annotated[str | None, typer.Argument(help=SPEC, metavar="SPEC")] = None,
) -> None:
    """Read and check labelled images; show counts, sizes, formats, copies, leaks and a contact sheet."""
    from rich.text import Text

    from compress.commands.planning import Planner
    from compress.data.describe import description_of, warnings
    from compress.data.table import data_facts, data_table
    from compress.store import Store
    from compress.terminal import terminal

    loaded = settings(data=spec)
    dataset = run_up_to(PIPELINE[0].name, loaded)
    console = terminal()
    console.print(data_table(dataset))
    for line in (*data_facts(dataset), *warnings(description_of(dataset))):
        console.print(Text(line), soft_wrap=True)
    decided, _ = Planner(PIPELINE, loaded, Store(loaded.workspace), console).decided()
    with console.status("drawing the contact sheet"):
        folder = _write_inspection(dataset, decided)
    console.print(f"data.html, data.json and contact-sheet.png: {folder}{os.sep}", highlight=False, soft_wrap=True)


def _write_inspection(dataset: Any, config: Any) -> Path:
    import shutil

    from compress.data.describe import DESCRIPTION
    from compress.data.sheet import contact_sheet
    from compress.files import write_file
    from compress.report.file import INSPECTION
    from compress.report.inspection import page

    folder = config.workspace / "inspection" / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dataset.folder / DESCRIPTION, folder / DESCRIPTION)
    contact_sheet(dataset, config.teacher.augmentation, config.seed).save(folder / "contact-sheet.png")
    source = config.data.source
    all_of_it = source.function(source.name, config.data.group, **config.data.rooted)
    names = [all_of_it.images.name(i) for i in range(len(all_of_it.images))]
    write_file(folder / INSPECTION, page(dataset, names, all_of_it.labels).encode())
    return folder


app.command("all")(_stage_command(PIPELINE[-1].name, "Run every stage and write the bundle to exported/NAME/."))
for _stage in PIPELINE[1:-1]:
    app.command(_stage.name.replace("_", "-"), rich_help_panel="Stages, in order")(
        _stage_command(_stage.name, _stage.summary)
    )


@app.command(PIPELINE[-1].name, rich_help_panel="Stages, in order", help=PIPELINE[-1].summary)
@takes_settings
def report(
    settings: Callable[..., Any],
    live: Live = False,
    in_browser: Annotated[bool, typer.Option("--open", help="Then open the page in the browser.")] = False,
) -> None:
    """Run up to the last stage, and show its page where that is asked for."""
    import webbrowser

    from compress.report.file import PAGE

    config = settings()
    page = (config.exported / run_up_to(PIPELINE[-1].name, config, live).name / PAGE).resolve()
    if in_browser and not webbrowser.open(page.as_uri()):
        print(f"no browser was found; the page is {page}")
