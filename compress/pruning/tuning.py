"""The trainings of a network that is being pruned, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compress.training.fit import ONLY, Fitted
from compress.training.settings import Engine, TrainingSettings

if TYPE_CHECKING:
    from compress.artifacts import EpochResult

Part = tuple[float, float]  # of a stage's progress


class Tuning:
    """Trains what is left of a network, and keeps how each training went in `trainings`.

    `follow` returns what trains, `Following`, whose logits are computed before the first training: what is refused
    before it costs nothing. Each training goes on with the views and the order of the images after those of the last.
    """

    def __init__(self, follow: Callable[[], Any], engine: Engine) -> None:
        self._follow, self.engine = follow, engine
        self.trainings: list[Fitted] = []
        self._passed = 0  # epochs

    @cached_property
    def following(self) -> Any:
        """What trains."""
        return self._follow()

    def train(
        self, model: Any, settings: TrainingSettings, *, name: str = ONLY, part: Part = (0.0, 1.0), **options: Any
    ) -> Fitted:
        """Train a model in place, and return how it went; other options are those of `fit`."""
        engine = options.pop("engine", self.engine)
        after, self._passed = self._passed, self._passed + settings.epochs
        fitted: Fitted = self.following.fit(
            model, engine, settings=settings, name=name, part=part, after=after, **options
        )
        self.trainings.append(fitted)
        return fitted

    @property
    def results(self) -> dict[str, Any]:
        """What a `Network` tells of its trainings, by field."""
        history: list[EpochResult] = [epoch for fitted in self.trainings for epoch in fitted.history]
        return {
            "history": tuple(history),
            "precision": {fitted.name: fitted.precision for fitted in self.trainings},
            "limits": {fitted.name: fitted.limit for fitted in self.trainings},
            "kept": {fitted.name: fitted.kept for fitted in self.trainings},
        }
