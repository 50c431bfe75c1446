"""The rules of the recipe, in the order in which they decide.

They are pure functions from the facts about the data, and the settings so far, to decisions. Each sees what the user
has given and what the rules before it have decided. It decides without asking what is given or decided already:
`settle.decide` drops what is. docs/training.md lists the rules with their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compress.context import Decision
from compress.recipe.facts import Facts
from compress.recipe.image_rules import flips, image_size, splits
from compress.recipe.training_rules import (
    augmentation,
    batch_sizes,
    lengths,
    patience,
    pruning,
    rates,
    schedules,
    student,
    teacher_width,
)
from compress.recipe.transfer_rules import transfer, weights

Rule = Callable[[Facts, Any], Iterator[Decision]]

RULES: tuple[Rule, ...] = (
    splits,
    image_size,
    flips,
    weights,
    teacher_width,
    augmentation,
    batch_sizes,
    transfer,
    pruning,
    rates,
    schedules,
    lengths,
    patience,
    student,
)
