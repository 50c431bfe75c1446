"""The course of a run: stage by stage, with the time left told, and the rest planned anew where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress import runner
from compress.context import Decision, Settings
from compress.estimate import Estimate
from compress.forecast import facts_of, forecast
from compress.pipeline import Stage
from compress.progress import OpenEnd, Progress
from compress.store import Entry, Store
from compress.toml import to_toml
from compress.training.settings import Engine, TrainingSettings


@dataclass(frozen=True)
class Plan:
    """What a run does: its settings, which of them were decided for it, what each stage trains on, and the steps.

    `given` are the settings that the user has changed, as `config.changes` returns them.
    """

    config: Any
    decisions: tuple[Decision, ...]
    settled: Mapping[str, Mapping[str, Engine]]
    steps: Sequence[runner.Step]
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pipeline(self) -> list[Stage]:
        """The stages, in order."""
        return [step.stage for step in self.steps]

    @property
    def to_run(self) -> list[str]:
        """The stages that are not finished."""
        return [step.stage.name for step in self.steps if not step.entry]

    @property
    def open_ended(self) -> dict[str, float]:
        """The trainings that end once they learn no more, and in which fraction of each the rate falls."""
        settings = {step.stage.name: step.settings.get("config") for step in self.steps if step.stage.trains}
        return {
            name: own.schedule.fall
            for name, own in settings.items()
            if isinstance(own, TrainingSettings) and own.schedule.shape == "wsd"
        }

    @property
    def stated(self) -> Settings:
        """The settings as the report has them."""
        return Settings(to_toml(self.config), self.decisions, self.given)

    def estimates(self, first: Entry | None, store: Store, measuring: bool = False) -> dict[str, Estimate]:
        """Return what each stage costs; `first` is what the first one has made, if it has run. See `forecast`."""
        facts = facts_of(self.config, self.steps[0].stage, first)
        return forecast(self.pipeline, self.config, self.settled, facts, self.to_run, store.speeds, measuring)


def as_planned(plan: Plan, stage: str, pace: float) -> Plan:
    """Return the plan as it is."""
    return plan


def run(
    plan: Plan,
    store: Store,
    progress: Progress,
    meet: Callable[[], None] | None = None,
    before: Callable[[Plan, str, float], Plan] = as_planned,
) -> runner.Finished:
    """Run the unfinished stages, tell how much time is left, and return what is finished then.

    `before` is called with the name of each stage before it runs, and with how much slower than estimated the run has
    been so far; it may return another plan, which differs in this stage and those after it. `meet` is as for
    `runner.execute`.
    """
    finished, told = runner.Finished(), None
    for number, stage in enumerate(plan.pipeline, start=1):
        plan = before(plan, stage.name, progress.pace)
        if number > 1 and plan is not told and plan.to_run:
            estimates = plan.estimates(finished.entries[plan.pipeline[0].name], store)
            left = [name for name in plan.to_run if name not in finished.entries]
            ends = {
                name: OpenEnd(estimates[name].least / estimates[name].seconds, fall)
                for name, fall in plan.open_ended.items()
                if estimates[name].seconds
            }
            progress.expect({name: estimates[name].seconds for name in left}, ends)
            told = plan
        runner.execute(plan.steps[:number], plan.config, plan.stated, store, progress, meet, finished)
    return finished
