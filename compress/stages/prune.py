"""Prune a network: remove filters, set weights to zero, or both; what is left learns to answer as before."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.distillation.settings import FollowingSettings
from compress.errors import BadInputError
from compress.plugins import nearest
from compress.pruning.settings import FilterSettings, Pattern
from compress.training.settings import Engine

if TYPE_CHECKING:
    from compress.distillation.targets import Source

ZEROS = {"sparsity", "pattern", "dense_ends", "initial_sparsity", "ramp", "updates"}  # settings of zeros alone


class Config(FilterSettings, FollowingSettings):
    """What is removed, and how the rest is trained."""

    epochs: int = Field(6, ge=1, le=10_000, description="Passes over the training images, at most.")
    learning_rate: float = Field(0.03, gt=0, le=10, description="Peak of the learning rate.")
    views: int = Field(
        4,
        ge=1,
        le=1000,
        description="Views of every image, itself and augmented ones; an epoch takes the next of them.",
    )
    sparsity: float = Field(0.8, gt=0, lt=1, description="Fraction of every kernel's weights that become zero.")
    pattern: Pattern = Field(
        "any",
        description="any: zeros lie where weights are smallest; 2:4: two of each four weights in a row are zero, "
        "whatever `sparsity`, for hardware that skips these.",
    )
    whole: tuple[str, ...] = Field(
        (), description="Names of layers that lose neither filters nor weights; * stands for any letters."
    )
    dense_ends: bool = Field(
        False,
        description="Whether the first and the last kernel keep all weights: they hold few, and the first is sensitive "
        "if no batch normalization follows it.",
    )
    initial_sparsity: float = Field(0.5, ge=0, lt=1, description="Sparsity at which the ramp begins.")
    ramp: float = Field(
        0.33,
        gt=0,
        le=1,
        description="Fraction of the training, with wsd of the shortest one, during which the sparsity rises.",
    )
    updates: int = Field(4, ge=1, description="How often the masks are computed during the ramp.")

    @property
    def measures_speed(self) -> bool:
        """Whether the result depends on measured speed, and so on the machine."""
        return self.target_of == "latency" and self.method != "magnitude"

    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the result depends on: of what is not removed, how much would be does not matter."""
        unused = {"magnitude": set(FilterSettings.model_fields) - {"method"}, "filters": ZEROS, "both": set()}
        return self.model_dump(mode="json", exclude=unused[self.method])


def run(
    config: Config, balance: Balance, train: Engine, network: Network, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the pruned network's weights: fewer filters, kernels mostly zero, or both."""
    import dataclasses

    from compress import networks
    from compress.data.images import images_of
    from compress.distillation.following import Following
    from compress.pruning import masks
    from compress.pruning.filters import without_filters
    from compress.pruning.sample import Sample
    from compress.tensorflow import start_afresh

    start_afresh(context.seed)
    model, widths = networks.load(network), network.widths
    whole = _layers_named(model, config.whole)
    answers = _answers(model, train)
    if config.method != "magnitude":
        images = images_of(data, "train")[: config.importance_images]  # the splits are shuffled
        sample = Sample(images, data.labels("train")[: len(images)], context.seed)
        model, removed = without_filters(network, model, config, whole, sample, context)
        widths = {**widths, **removed}
    following = Following(answers, config, balance, data, context, every_view=False)
    callbacks, may_stop_from = [], 0
    if config.method != "filters":
        model, may_stop_from = _masked(model, config, following.batches.steps, whole)
        callbacks = [masks.callback()]
    fitted = following.fit(model, train, callbacks=callbacks, may_stop_from=may_stop_from)
    if config.method != "filters":
        model = masks.without_masks(model)
    networks.save(model, out / "weights.npz")
    return dataclasses.replace(
        network,
        name=context.product or f"{network.name}-pruned",
        stage=context.stage,
        weights=out / "weights.npz",
        widths=widths,
        history=fitted.history,
        precision={fitted.name: fitted.precision},
        limits={fitted.name: fitted.limit},
        kept={fitted.name: fitted.kept},
        trials=(),
    )


def _answers(model: Any, engine: Engine) -> Source:
    """Return the function from images to a model's logits, in the precision that it trains in."""
    from compress.training.evaluation import forward_of
    from compress.training.precision import checked, computing_in

    forward, dtype = forward_of(model), checked(engine.precision)

    def answers(images: Any) -> Any:
        with computing_in(dtype):
            return forward(images)

    return answers


def _layers_named(model: Any, patterns: Sequence[str]) -> list[str]:
    """Return the names of the layers that match patterns; raises `BadInputError` for one that matches none."""
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise BadInputError(f"prune.whole = {pattern!r}: no layer has this name; {nearest(pattern, names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _masked(model: Any, config: Config, steps: int, whole: Sequence[str]) -> tuple[Any, int]:
    """Return the model with masks, and the first epoch of `steps` steps, from 0, that ends with the full sparsity."""
    from compress.pruning import masks
    from compress.training.fall import shortest

    ramp_steps = max(1, round(shortest(config.schedule, config.epochs, steps) * steps * config.ramp))
    initial = min(config.initial_sparsity, config.sparsity)
    masked = masks.with_masks(
        model,
        config.sparsity,
        initial,
        ramp_steps,
        config.updates,
        dense_ends=config.dense_ends,
        pattern=config.pattern,
        whole=whole,
    )
    return masked, min(ramp_steps // steps, config.epochs - 1)
