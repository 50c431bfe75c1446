"""Planning a run, with what it says meanwhile: the recipe, what each stage trains on, and a budget of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console

from compress import runner
from compress.config import changes as changes_of
from compress.config import given_keys, updated
from compress.context import Decision
from compress.course import Plan
from compress.deadline import Deadline
from compress.durations import duration
from compress.engines import settle as settle_engines
from compress.errors import BadInputError
from compress.pipeline import Stage
from compress.recipe.budget import SIZE
from compress.recipe.settle import lines
from compress.recipe.settle import settle as settle_recipe
from compress.store import Store
from compress.training.cluster import bind_gpu, cluster_of


class Planner:
    """Plans runs of a pipeline with some settings; `quietly` leaves out what only a run has to say."""

    def __init__(
        self, pipeline: Sequence[Stage], config: Any, store: Store, console: Console, quietly: bool = False
    ) -> None:
        self.pipeline, self.config, self.store, self.console, self.quietly = pipeline, config, store, console, quietly

    def planned(self) -> Plan:
        """Return the plan that a run would begin with, and remember nothing of it."""
        budget = self.config.budget
        return self.deadline(budget).begin(remembering=False) if budget else self.usual()

    def usual(self, changes: Mapping[str, Any] = MappingProxyType({})) -> Plan:
        """Return the plan without a budget, with some settings changed, by dotted key.

        Changed ones may be tried and not taken, so nothing is said of them.
        """
        config, decisions = self.decided(changes)
        cluster = cluster_of(config.train.strategy)
        if cluster:
            bind_gpu(config.train.strategy)  # the key holds the number of replicas, and so of GPUs

        def note(line: str) -> None:
            if not changes:
                self._note(line)

        with self.console.status("timing training steps, for the precision in which they are faster"):
            settled = settle_engines(self.pipeline, config, self.store.speeds, cluster, note)
        with self.console.status("looking at the data and at what is finished"):
            steps = runner.plan(self.pipeline, config, self.store, settled)
            return Plan(config, decisions, settled, steps, changes_of(self.config))

    def decided(self, changes: Mapping[str, Any] = MappingProxyType({})) -> tuple[Any, tuple[Decision, ...]]:
        """Return the settings with some changed and what the recipe has decided, and its decisions.

        It decides by the size of images, but by no other change, so that nothing is tried again for these.
        """
        before = {key: value for key, value in changes.items() if key == SIZE}
        config = updated(self.config, before, "the budget") if before else self.config

        def note(line: str) -> None:
            if not self.quietly and not changes:
                self._note(line)

        with self.console.status("looking at the data") as status:
            config, decisions = settle_recipe(config, self.store, note, status.update)
        return (updated(config, changes, "the budget") if changes else config), decisions

    def deadline(self, budget: str) -> Deadline:
        """Return what plans the run into a budget, which begins now.

        Raises `BadInputError` if several processes train together: each would come to a plan of its own.
        """
        strategy = self.config.train.strategy
        if cluster_of(strategy):
            raise BadInputError(
                f"budget = {budget!r}: the processes of train.strategy = {strategy!r} would each plan on their own; "
                "budget should be empty, or the strategy none or mirrored"
            )

        def note(line: str) -> None:
            if not self.quietly:
                self._note(line)

        return Deadline(budget, self.usual, given_keys(self.config), self.store, note)

    def instead(self, budget: str) -> list[str]:
        """Return in words what the run would give up for a budget."""
        try:
            deadline = self.deadline(budget)
            plan = deadline.begin(remembering=False)
        except BadInputError as error:
            return [str(error)]
        given_up = [decision for decision in plan.decisions if decision in deadline.told]
        return [f"with --budget {budget}, {duration(deadline.seconds)}:", *lines(given_up)]

    def _note(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)
