"""The commands that show what a run would do, with which settings, and that delete what it does not need."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from compress.commands.settings import takes_settings
from compress.pipeline import PIPELINE

app = typer.Typer()


@app.command("config")
@takes_settings
def show_config(settings: Callable[..., Any]) -> None:
    """Print the effective settings as TOML, ready for --config."""
    from compress.commands.planning import Planner
    from compress.recipe.settle import lines
    from compress.store import Store
    from compress.terminal import terminal
    from compress.toml import to_toml

    loaded = settings()
    planner = Planner(PIPELINE, loaded, Store(loaded.workspace), terminal(stderr=True), quietly=True)
    if loaded.budget:
        plan = planner.planned()
        config, decisions = plan.config, plan.decisions
    else:
        config, decisions = planner.decided()
    print("".join(f"# {line}\n" for line in lines(decisions)) + to_toml(config), end="")


@app.command()
@takes_settings
def plan(settings: Callable[..., Any]) -> None:
    """Show which stages are finished (hit) or would run (miss), why, and what training would cost. Runs none."""
    from compress.commands.planning import Planner
    from compress.plan import LONG, plan_table, total_line
    from compress.recipe.settle import lines
    from compress.store import Store
    from compress.terminal import terminal

    loaded = settings()
    console, store = terminal(), Store(loaded.workspace)
    planner = Planner(PIPELINE, loaded, store, console, quietly=True)
    plan = planner.planned()
    say = partial(console.print, highlight=False, soft_wrap=True)
    for line in lines(plan.decisions):
        say(line)
    with console.status("timing some training steps of each network to run"):
        estimates = plan.estimates(plan.steps[0].entry, store, measuring=True)
    console.print(plan_table(plan.steps, estimates))
    seconds = sum(estimates[name].seconds for name in plan.to_run)
    if seconds:
        open_ended = [name for name in plan.to_run if name in plan.open_ended]
        say(total_line(seconds - sum(estimates[name].seconds - estimates[name].least for name in open_ended), seconds))
    if seconds > LONG and loaded.recipe == "auto" and not loaded.budget:
        for line in planner.instead("1h"):
            say(line)


@app.command()
@takes_settings
def clean(
    settings: Callable[..., Any],
    everything: Annotated[bool, typer.Option("--all", help="Also delete the results that these settings use.")] = False,
) -> None:
    """Delete every cached result and checkpoint that these settings do not use. Bundles stay."""
    from compress import runner
    from compress.commands.planning import Planner
    from compress.store import Store
    from compress.terminal import terminal

    loaded = settings()
    with runner.locked(loaded.workspace):
        store = Store(loaded.workspace)
        planner = Planner(PIPELINE, loaded, store, terminal(), quietly=True)
        kept = [] if everything else planner.planned().steps
        freed = store.clean({(step.stage.name, step.key) for step in kept})
    print(f"{loaded.workspace}: {freed / 1e6:,.1f} MB freed")
