"""A run's budget of time: how long its trainings become, decided before each from the time that is left by then.

What is decided is remembered in the workspace, so that a run that was killed, or is repeated, goes on with the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from compress import runner
from compress.config import updated
from compress.context import Decision
from compress.course import Plan
from compress.durations import duration, rounded_up, seconds_of
from compress.engines import trains
from compress.errors import BadInputError
from compress.estimate import Facts
from compress.files import sha256_json
from compress.forecast import facts_of, forecast
from compress.memo import recalled, remember
from compress.recipe.budget import ALL_KEYS, KEYS, Fit, Limits, cheaper, decisions_of, fit, value_of
from compress.recipe.settle import lines
from compress.stages import data
from compress.store import Store

AIM = 0.95  # of the budget: estimates are not exact
CHANGES = "changes"  # what a run begins with, of settings that all trainings depend on
SHARED = ("image", "balance", "train")  # sections that all trainings depend on


@dataclass(frozen=True)
class Decided:
    """What was decided at some point of a run: settings by dotted key, after so many seconds of the run."""

    values: dict[str, Any]
    after: float


class Deadline:
    """The plans of a run that has a budget, which begins when this is made.

    `usual` returns the plan without a budget, with some settings changed, by dotted key. `given` are the keys that the
    user has set, `note` prints a line.
    """

    def __init__(
        self,
        budget: str,
        usual: Callable[[Mapping[str, Any]], Plan],
        given: Collection[str],
        store: Store,
        note: Callable[[str], None],
    ) -> None:
        self.budget, self.usual, self.given, self.store, self.note = budget, usual, given, store, note
        self.began = time.monotonic()
        self.earlier = 0.0  # seconds that another process has spent on what it finished of this run
        self.decided: set[str] = set()  # the trainings whose length stays
        self.told: tuple[Decision, ...] = ()
        self.seconds = 0.0  # that the run will take
        self.facts: dict[Any, Facts] = {}

    @cached_property
    def unbounded(self) -> Plan:
        """The plan without a budget."""
        return self.usual({})

    def begin(self, remembering: bool = True) -> Plan:
        """Return the plan to begin with; raises `BadInputError` if the budget is too short for any.

        It is remembered unless it is only to be looked at.
        """
        begun = self._remembered(CHANGES, self.unbounded.config)
        if begun is None:
            plan, changes = self._in_time()
            begun = Decided(changes, 0.0)
            if remembering:
                self._remember(CHANGES, self.unbounded.config, begun)
        else:
            plan = self._changed(begun.values)
        plan = self._resumed(plan, begun)
        return self._fitted(plan, plan.to_run, 1.0)

    def before(self, plan: Plan, stage: str, pace: float) -> Plan:
        """Return the plan with the length of a training decided, if `stage` is one that is about to begin."""
        if stage not in self._open(plan.to_run):
            return plan
        names = [made.name for made in plan.pipeline]
        plan = self._fitted(plan, [name for name in names[names.index(stage) :] if name in plan.to_run], pace)
        values = {key: value_of(plan.config, key) for key in KEYS[stage]}
        self._remember(stage, self.base, Decided(values, self.spent))
        self._fix(stage, values)
        return plan

    @property
    def spent(self) -> float:
        """The seconds of the run so far."""
        return self.earlier + time.monotonic() - self.began

    def _changed(self, changes: Mapping[str, Any]) -> Plan:
        return self.usual(changes) if changes else self.unbounded

    def _in_time(self) -> tuple[Plan, dict[str, Any]]:
        """Return the first plan that leaves trainings enough length, and what is changed in it."""
        plan, changes = self.unbounded, {}
        found = self._fit(plan, plan.config, plan.to_run, 1.0)
        begins = "teacher" in plan.to_run  # otherwise what is finished would have to be done again
        for cheap, enough in cheaper(plan.config, self.given) if begins else ():
            if found.length >= enough:
                break
            other = self._changed(cheap)
            fitted = self._fit(other, other.config, other.to_run, 1.0)
            if (fitted.length, -fitted.seconds) > (found.length, -found.seconds):
                plan, changes, found = other, cheap, fitted
        if found.length < 0:
            given = " and ".join(f"{key} = {value_of(plan.config, key)}" for key in ALL_KEYS if key in self.given)
            raise BadInputError(
                f"budget = {self.budget!r}: too short for this run{given and f' with {given}'}; should be at least "
                f"{rounded_up((self.spent + found.seconds) / AIM)}"
            )
        return plan, changes

    def _resumed(self, plan: Plan, begun: Decided) -> Plan:
        """Return the plan with what was decided before, and count the time that went into it."""
        self.base = plan.config  # with the usual lengths, but for trainings whose length is decided
        last, at = begun, plan.pipeline[0].name
        for stage in KEYS:
            decided = self._remembered(stage, self.base)
            if decided:
                self._fix(stage, decided.values)
                last, at = decided, stage
        plan = self._with(plan, self.base)
        names = [made.name for made in plan.pipeline]
        done = [step.entry for step in plan.steps[names.index(at) :] if step.entry] if at in names else []
        if self.decided:
            self.earlier = last.after + sum(entry.manifest["seconds"] for entry in done)
        return plan

    def _fix(self, stage: str, values: dict[str, Any]) -> None:
        self.decided.add(stage)
        self.base = updated(self.base, values, "the budget")

    def _fitted(self, plan: Plan, to_run: Sequence[str], pace: float) -> Plan:
        """Return the plan with all lengths that are still open fitted into the time that is left."""
        found = self._fit(plan, self.base, to_run, pace)
        decisions = decisions_of(self.unbounded.config, found.config, self.budget)
        for line in lines(decision for decision in decisions if decision not in self.told):
            self.note(line)
        if found.length < 0 and self._open(to_run):
            self.note(f"budget = {self.budget}: the shortest trainings take longer than the time that is left")
        elif decisions != self.told and to_run:
            self.note(f"budget = {self.budget}: the run will take at most about {duration(self.spent + found.seconds)}")
        self.told, self.seconds = decisions, self.spent + found.seconds
        return self._with(plan, found.config)

    def _with(self, plan: Plan, config: Any) -> Plan:
        decided = {decision.key: decision for decision in (*plan.decisions, *self.told)}
        steps = runner.plan(plan.pipeline, config, self.store, plan.settled)
        return replace(plan, config=config, decisions=tuple(decided.values()), steps=steps)

    def _fit(self, plan: Plan, config: Any, to_run: Sequence[str], pace: float) -> Fit:
        size = str(config.image.size)
        if size not in self.facts:
            self.facts[size] = facts_of(config, plan.pipeline[0], plan.steps[0].entry)
        facts = self.facts[size]

        def seconds(config: Any) -> float:
            made = forecast(plan.pipeline, config, plan.settled, facts, to_run, self.store.speeds, measuring=True)
            return pace * sum(made[name].seconds for name in to_run)

        seconds(config)  # measures, which takes time
        available = AIM * seconds_of(self.budget) - self.spent
        return fit(config, Limits(self.given, self._open(to_run), facts, seconds, available))

    def _open(self, to_run: Collection[str]) -> list[str]:
        """Return the trainings to run whose length is not decided."""
        return [
            stage
            for stage in KEYS
            if stage in to_run and stage not in self.decided and trains(getattr(self.unbounded.config, stage))
        ]

    def _digest(self, what: str, config: Any) -> str:
        """Return what is remembered under: the budget, the data, and all settings up to those of a training.

        A run that ends earlier, such as that of `teacher`, shares its time among fewer trainings.
        """
        last = self.unbounded.pipeline[-1].name
        trained = list(KEYS)
        sections = [*SHARED, *(trained[: trained.index(what) + 1] if what in KEYS else trained)]
        settings = {section: getattr(config, section).model_dump(mode="json") for section in sections}
        digests = [data.fingerprint(config.data, self.store.memo), config.data.key_settings()]
        return sha256_json([self.budget, last, what, config.seed, settings, digests])

    def _remembered(self, what: str, config: Any) -> Decided | None:
        return self._memory().get(self._digest(what, config))

    def _remember(self, what: str, config: Any, decided: Decided) -> None:
        known = {**self._memory(), self._digest(what, config): decided}
        remember(self.store.budgets, dict[str, Decided], known)

    def _memory(self) -> dict[str, Decided]:
        return recalled(self.store.budgets, dict[str, Decided])
