"""Prune a network: remove filters, set weights to zero, or both; what is left learns to answer as before."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from compress.artifacts import Dataset, Network, Trial
from compress.context import Context
from compress.data.balance import Balance
from compress.distillation.settings import FollowingSettings
from compress.errors import BadInputError
from compress.pruning.settings import Clusters, FilterSettings, NoneOrPoints, ZeroSettings
from compress.training.settings import Engine, Schedule

if TYPE_CHECKING:
    from compress.distillation.targets import Source
    from compress.pruning.filters import Removal
    from compress.pruning.tuning import Part, Tuning

FILTERS, ZEROS = set(FilterSettings.model_fields) - {"method"}, set(ZeroSettings.model_fields)  # settings of one alone


class Config(FilterSettings, ZeroSettings, FollowingSettings):
    """What is removed, and how the rest is trained."""

    epochs: int = Field(6, ge=1, le=10_000, description="Passes over the training images, at most.")
    learning_rate: float = Field(0.03, gt=0, le=10, description="Peak of the learning rate.")
    views: int = Field(
        4,
        ge=1,
        le=1000,
        description="Views of every image, itself and augmented ones; an epoch takes the next of them.",
    )
    whole: tuple[str, ...] = Field(
        (), description="Names of layers that lose neither filters nor weights; * stands for any letters."
    )

    whole_above: NoneOrPoints = Field(
        "none",
        description="Percentage points of validation accuracy: layers that alone, without training, lose more than so "
        "many by what is removed lose neither filters nor weights; none: no layer is tried alone.",
    )

    clusters: Clusters = Field(
        0, description="How many values each kernel has in the end, for a smaller compressed file; 0: any number."
    )
    cluster_epochs: int = Field(
        2, ge=1, le=1000, description="Passes over the training images in which these values are learned."
    )

    @property
    def measures_speed(self) -> bool:
        """Whether the result depends on measured speed, and so on the machine."""
        return self.target_of == "latency" and self.method != "magnitude"

    @property
    def unused(self) -> set[str]:
        """The settings that do not matter with the others."""
        found = set({"magnitude": FILTERS, "filters": ZEROS, "both": set[str]()}[self.method])
        if self.pattern == "2:4":
            found |= ZEROS - {"pattern", "dense_ends"}
        if self.ramp_shape == "constant":
            found.add("initial_sparsity")
        if self.steps == 1:
            found.add("step_epochs")
        if not self.clusters:
            found.add("cluster_epochs")
        return found

    @property
    def passes(self) -> int:
        """The most passes over the training images that all trainings together may take, but for those of a search."""
        between = (self.steps - 1) * self.step_epochs if self.method != "magnitude" else 0
        return between + self.epochs + (self.cluster_epochs if self.clusters else 0)

    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the result depends on."""
        return self.model_dump(mode="json", exclude=self.unused)


def run(
    config: Config, balance: Balance, train: Engine, network: Network, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the pruned network's weights: fewer filters, kernels mostly zero, or both."""
    import dataclasses

    from compress import networks
    from compress.distillation.following import Following
    from compress.pruning.tuning import Tuning
    from compress.pruning.whole import named
    from compress.tensorflow import start_afresh

    _check(config, train, context)
    start_afresh(context.seed)
    model, widths, predicted_ms = networks.load(network), network.widths, dict[str, float]()
    whole = [*named(model, config.whole, context.stage), *_sensitive(model, config, balance, data, context)]
    passes = config.passes if config.max_drop == "none" else sys.maxsize
    follow = partial(Following, _answers(model, train), config, balance, data, context, passes=passes)
    tuning, trials, rest = Tuning(follow, train), tuple[Any, ...](), (0.0, 0.9 if config.clusters else 1.0)
    name = context.product or f"{network.name}-pruned"
    if config.method != "magnitude":
        removal = _removal(network, model, config, whole, balance, data, context)
        trials, rest = _without_filters(removal, config, tuning, rest)
        model, widths, predicted_ms = removal.model, {**widths, **removal.widths}, removal.predicted_ms(name)
    model = _trained(model, config, tuning, whole, rest, context)
    if config.clusters:
        model = _clustered(model, config, tuning, context)
    networks.save(model, out / "weights.npz")
    return dataclasses.replace(
        network,
        name=name,
        stage=context.stage,
        weights=out / "weights.npz",
        widths=widths,
        predicted_ms=predicted_ms,
        trials=trials,
        **tuning.results,
    )


def _check(config: Config, train: Engine, context: Context) -> None:
    """Tell settings that have no effect; raise `BadInputError` for clusters that several processes would learn."""
    for key in sorted(key for key in config.unused if getattr(config, key) != Config.model_fields[key].default):
        context.note(f"{context.stage}.{key}: has no effect with the other settings")
    if config.clusters and train.strategy != "none":
        raise BadInputError(
            f"{context.stage}.clusters = {config.clusters} and train.strategy = {train.strategy!r}: clusters are "
            "learned in one process alone; should be 0, or the strategy none"
        )


def _without_filters(removal: Removal, config: Config, tuning: Tuning, part: Part) -> tuple[tuple[Trial, ...], Part]:
    """Remove filters; return what was tried, and the part of the progress that is left for what follows."""
    from compress.pruning.steps import in_steps, searched

    begin, end = part
    if config.max_drop != "none":
        middle = end if config.method == "filters" else begin + 0.8 * (end - begin)
        return searched(removal, config, tuning, (begin, middle)), (middle, end)
    return (), in_steps(removal, config, tuning, part)


def _trained(model: Any, config: Config, tuning: Tuning, whole: Sequence[str], part: Part, context: Context) -> Any:
    """Return the model that was trained last, with zeros if these are asked for; a search has trained it already."""
    from compress.pruning import masks
    from compress.pruning.steps import at_its_peak

    settings = at_its_peak(config) if tuning.trainings and config.max_drop == "none" else config
    if config.method != "filters":
        masked, may_stop_from = _masked(model, settings, tuning.following.batches.steps, whole, context)
        tuning.train(masked, settings, part=part, callbacks=[masks.callback()], may_stop_from=may_stop_from)
        return masks.without_masks(masked)
    if config.max_drop == "none":
        tuning.train(model, settings, part=part)
    return model


def _clustered(model: Any, config: Config, tuning: Tuning, context: Context) -> Any:
    """Return the model with few values per kernel, learned in a few epochs at a tenth of the rate, which falls to 0."""
    from compress.pruning.clustering import with_clusters, without_clusters

    tuning.following  # noqa: B018  # computes logits of the model that came in, before its layers are clustered
    schedule = Schedule(shape="one_cycle", warmup=0.0)
    falling = {"epochs": config.cluster_epochs, "patience": config.cluster_epochs, "schedule": schedule}
    falling |= {"learning_rate": config.learning_rate / 10}
    clustered = with_clusters(model, config.clusters, context.seed, keeping_zeros=config.method != "filters")
    exact = tuning.engine.model_copy(update={"precision": "float32"})  # which the library computes in
    tuning.train(clustered, config.model_copy(update=falling), name="clusters", part=(0.9, 1.0), engine=exact)
    return without_clusters(clustered)


def _removal(
    network: Network,
    model: Any,
    config: Config,
    whole: Sequence[str],
    balance: Balance,
    data: Dataset,
    context: Context,
) -> Removal:
    """Return the removal of the filters of a network, `model` as Keras has it."""
    from compress.pruning.filters import Removal
    from compress.pruning.sample import sample_of
    from compress.pruning.sensitivity import validation_of

    sample = sample_of(data, config.importance_images, context.seed)
    return Removal(network, model, config, whole, sample, validation_of(data, balance.metric), context)


def _answers(model: Any, engine: Engine) -> Source:
    """Return the function from images to a model's logits, in the precision that it trains in."""
    from compress.training.evaluation import forward_of
    from compress.training.precision import checked, computing_in

    forward, dtype = forward_of(model), checked(engine.precision)

    def answers(images: Any) -> Any:
        with computing_in(dtype):
            return forward(images)

    return answers


def _sensitive(model: Any, config: Config, balance: Balance, data: Dataset, context: Context) -> list[str]:
    """Return the names of the layers that lose too much alone, if that is asked."""
    from compress.pruning.sensitivity import write_sensitive

    if config.whole_above == "none":
        return []
    filters = 1.0 - math.sqrt(config.fraction)  # two layers multiply each other's filters
    gone: dict[Any, float] = {"filters": filters, "weights": 0.5 if config.pattern == "2:4" else config.sparsity}
    if config.method != "both":
        gone.pop("weights" if config.method == "filters" else "filters")
    tell = partial(context.progress, 0.0)
    write = partial(write_sensitive, model, gone, config.whole_above, config, data, balance.metric, context.seed, tell)
    names = json.loads(context.made(context.checkpoint / "sensitive.json", write).read_bytes())
    told = ", ".join(names) or "none"
    context.note(f"{context.stage}: layers that alone lose more than {config.whole_above:g} points: {told}")
    return names


def _masked(model: Any, config: Config, steps: int, whole: Sequence[str], context: Context) -> tuple[Any, int]:
    """Return the model with masks, and the first epoch of `steps` steps, from 0, that ends with the full sparsity."""
    from compress.pruning import masks
    from compress.training.fall import shortest

    if config.pattern == "2:4":  # all at once, in the first step
        return masks.with_masks(model, config, 0, 1, whole), 0
    length = shortest(config.schedule, config.epochs, steps) * steps
    end = max(1, round(length * config.ramp))
    begin = min(round(length * config.ramp_begin), end - 1)
    if config.spread == "global":
        shares = masks.shares_of(model, config, whole)
        told = ", ".join(f"{share:.0%} in {name}" for name, share in shares.items())
        context.note(f"{context.stage}: zeros: {told}; at most {masks.MOST:.0%} anywhere")
    return masks.with_masks(model, config, begin, end, whole), min(end // steps, config.epochs - 1)
