"""From a run's settings to the same with everything decided: plain values, which need no recipe any more.

What the recipe has decided is remembered in the workspace, so that the next run comes to the same without looking.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from compress.config import given_keys, updated
from compress.context import Decision, stage_seed
from compress.errors import BadInputError
from compress.files import sha256_json
from compress.fingerprint import code_digest, library_versions
from compress.memo import recalled, remember
from compress.pretrained import is_there, why_not
from compress.recipe.facts import Facts, facts_of, samples_of
from compress.recipe.image_rules import sizes_to_try, splits
from compress.recipe.rules import RULES, Rule
from compress.recipe.sample import sample_of
from compress.recipe.transfer_rules import asks_for_published
from compress.recipe.trials import learn
from compress.stages import data, teacher
from compress.store import Store

MODULES = ("compress.recipe.facts", "compress.recipe.rules")  # whose code facts and decisions depend on
LOOKED_FOR = ("data.", "image.", "teacher.weights")  # given, these change what is looked for
ELSEWHERE = {"workspace", "exported", "recipe", "budget"}  # settings that no decision depends on


@dataclass(frozen=True)
class Memory:
    """What earlier runs have seen of their data, and decided, each by a digest of all that it depends on.

    What was seen took trainings, and hangs on fewer settings: another pruning is decided anew, from the same facts.
    """

    facts: dict[str, Facts] = field(default_factory=dict)
    decisions: dict[str, tuple[Decision, ...]] = field(default_factory=dict)


def settle(
    config: Any, store: Store, note: Callable[[str], None], status: Callable[[str], None]
) -> tuple[Any, tuple[Decision, ...]]:
    """Return a run's settings without a recipe, and what the recipe has decided.

    `note` takes a line for each reason, but none for decisions that were remembered, and `status` what is being tried.
    Raises `BadInputError` as the data's source does.
    """
    if config.recipe == "none":
        return config, ()
    memory, seen = recalled(store.recipes, Memory), _digest_of_data(config, store)
    facts = memory.facts.get(seen) or look(config, store.memo, status)
    if facts.published and is_there(config.teacher.architecture.module):  # has been put there since
        facts = dataclasses.replace(facts, published="")
    memory.facts[seen] = facts
    given = config.model_dump(mode="json", exclude_unset=True, exclude=ELSEWHERE | {"data"})
    asked = sha256_json([seen, given, facts.published])
    if asked not in memory.decisions:
        memory.decisions[asked] = decide(facts, config)
        for line in lines(memory.decisions[asked]):
            note(line)
        with suppress(OSError):  # nothing but time is lost: `plan` and `config` work where no workspace can be
            remember(store.recipes, Memory, memory)
    return with_decisions(config, memory.decisions[asked]), memory.decisions[asked]


def look(config: Any, memo: Path, status: Callable[[str], None]) -> Facts:
    """Return the facts about the data of a run, with what short trainings tell where that matters."""
    samples = samples_of(config)
    facts, given = facts_of(samples, config), given_keys(config)
    if asks_for_published(facts, config, given):
        facts = dataclasses.replace(facts, published=why_not(config.teacher.architecture.module))
    divided = with_decisions(config, decide(facts, config, (splits,)))
    sizes = sizes_to_try(facts, divided, given)
    if not sizes:
        return facts
    try:
        sample = sample_of(samples, divided, facts.channels, sizes, memo)
    except BadInputError:  # the data stage tells what is wrong, and first of all which images cannot be read
        return facts
    return dataclasses.replace(facts, learned=learn(sample, stage_seed(config.seed, "recipe"), status))


def decide(facts: Facts, config: Any, rules: Sequence[Rule] = RULES) -> tuple[Decision, ...]:
    """Return a decision for each key that a rule knows and that is not given; the first rule decides."""
    decisions: list[Decision] = []
    for rule in rules:
        known = given_keys(config)
        made = [decision for decision in rule(facts, config) if not _is_given(decision.key, known)]
        config = updated(config, {decision.key: decision.value for decision in made}, "the recipe")
        decisions += made
    return tuple(decisions)


def with_decisions(config: Any, decisions: Iterable[Decision]) -> Any:
    """Return settings as the recipe has decided them, without a recipe, and without a budget, which needs one."""
    values = {made.key: made.value for made in decisions}
    return updated(config, {**values, "recipe": "none", "budget": ""}, "the recipe")


def lines(decisions: Iterable[Decision]) -> list[str]:
    """Return what to print: a line for each reason, with all that was decided for it."""
    return [
        f"recipe: {', '.join(f'{made.key} = {made.value}' for made in same)}: {reason}"
        for reason, same in groupby(decisions, key=lambda made: made.reason)
    ]


def _is_given(key: str, given: frozenset[str]) -> bool:
    return any(key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.") for other in given)


def _digest_of_data(config: Any, store: Store) -> str:
    """Return what facts are remembered under: the data, what is set of how to look at them, and the code that looks."""
    keys = given_keys(config)
    return sha256_json(
        [
            data.fingerprint(config.data, store.memo),
            config.data.key_settings(),
            config.image.model_dump(mode="json"),
            config.teacher.architecture.model_dump(mode="json"),
            teacher.fingerprint(config.teacher, store.memo),
            sorted(key for key in keys if key.startswith(LOOKED_FOR) or key.endswith(".flip")),
            config.seed,
            code_digest(MODULES),
            library_versions(MODULES),
        ]
    )
