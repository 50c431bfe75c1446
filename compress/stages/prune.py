"""Prune a network: remove filters, set weights to zero, or both; what is left learns to answer as before."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.distillation.settings import FollowingSettings
from compress.errors import BadInputError
from compress.plugins import nearest
from compress.pruning.settings import FilterSettings, NoneOrPoints, ZeroSettings
from compress.training.settings import Engine, Schedule

if TYPE_CHECKING:
    from compress.distillation.targets import Source
    from compress.pruning.filters import Removal
    from compress.pruning.steps import Part
    from compress.training.fit import Fitted

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

    clusters: Literal[0] | Annotated[int, Field(ge=3, le=256)] = Field(
        0,
        description="How many values each kernel has in the end, for a smaller compressed file; 0: any number.",
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
        """The settings of what is not removed, which do not matter."""
        return {"magnitude": FILTERS, "filters": ZEROS, "both": set[str]()}[self.method]

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
    from compress.pruning import masks
    from compress.pruning.clustering import with_clusters, without_clusters
    from compress.pruning.steps import as_before, in_steps, searched
    from compress.tensorflow import start_afresh
    from compress.training.fit import ONLY

    start_afresh(context.seed)
    for key in sorted(key for key in config.unused if getattr(config, key) != Config.model_fields[key].default):
        context.note(f"{context.stage}.{key}: has no effect with method = {config.method!r}")
    model, widths = networks.load(network), network.widths
    whole = [*_layers_named(model, config.whole, context.stage), *_sensitive(model, config, balance, data, context)]
    # after the first filters have been removed: what is refused is refused before logits are computed
    followed = cache(partial(Following, _answers(model, train), config, balance, data, context, every_view=False))

    def fit(trained: Any, settings: Config, name: str, part: Part, **options: Any) -> Fitted:
        return followed().fit(trained, train, settings=settings, part=part, name=name, **options)

    name = context.product or f"{network.name}-pruned"
    trainings, trials, rest = list[Any](), tuple[Any, ...](), (0.0, 1.0)
    predicted_ms = dict[str, float]()
    if config.method != "magnitude":
        removal = _removal(network, model, config, whole, balance, data, context)
        if config.max_drop == "none":
            trainings, rest = in_steps(removal, config, fit)
        else:
            trainings, trials = searched(removal, config, balance.metric, fit)
        model, widths, predicted_ms = removal.model, {**widths, **removal.widths}, removal.predicted_ms(name)
    last = as_before(config) if config.steps > 1 else config
    if config.method != "filters":
        model, may_stop_from = _masked(model, last, followed().batches.steps, whole, context)
        trainings.append(fit(model, last, ONLY, rest, callbacks=[masks.callback()], may_stop_from=may_stop_from))
        model = masks.without_masks(model)
    elif config.max_drop == "none":
        trainings.append(fit(model, last, ONLY, rest))
    if config.clusters:
        exact = train.model_copy(update={"precision": "float32"})  # which the library computes in
        clustered = with_clusters(model, config.clusters, context.seed, keeping_zeros=config.method != "filters")
        learned = followed().fit(clustered, exact, settings=_of_clusters(config), part=(1.0, 1.0), name="clusters")
        trainings.append(learned)
        model = without_clusters(clustered)
    networks.save(model, out / "weights.npz")
    return dataclasses.replace(
        network,
        name=name,
        stage=context.stage,
        weights=out / "weights.npz",
        widths=widths,
        history=tuple(epoch for fitted in trainings for epoch in fitted.history),
        precision={fitted.name: fitted.precision for fitted in trainings},
        limits={fitted.name: fitted.limit for fitted in trainings},
        kept={fitted.name: fitted.kept for fitted in trainings},
        predicted_ms=predicted_ms,
        trials=trials,
    )


def _of_clusters(config: Config) -> Config:
    """Return the settings of the training of clusters: a few epochs at a tenth of the rate, which falls to zero."""
    return config.model_copy(
        update={
            "epochs": config.cluster_epochs,
            "learning_rate": config.learning_rate / 10,
            "schedule": Schedule(shape="one_cycle", warmup=0.0),
        }
    )


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


def _layers_named(model: Any, patterns: Sequence[str], section: str) -> list[str]:
    """Return the names of the layers that match patterns; raises `BadInputError` for one that matches none."""
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise BadInputError(f"{section}.whole = {pattern!r}: no layer has this name; {nearest(pattern, names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _sensitive(model: Any, config: Config, balance: Balance, data: Dataset, context: Context) -> list[str]:
    """Return the names of the layers that lose too much alone, if that is asked."""
    from compress.pruning.sensitivity import write_sensitive

    if config.whole_above == "none":
        return []
    gone: dict[Any, float] = {"filters": 1.0 - config.fraction, "weights": config.sparsity}
    if config.method != "both":
        gone.pop("weights" if config.method == "filters" else "filters")
    tell = partial(context.progress, 0.0)
    write = partial(write_sensitive, model, gone, config.whole_above, config, data, balance.metric, context.seed, tell)
    names = json.loads(context.made(context.checkpoint / "sensitive.json", write).read_bytes())
    told = ", ".join(names) or "no layer"
    context.note(f"{context.stage}: {told} loses more than {config.whole_above:g} points alone")
    return names


def _masked(model: Any, config: Config, steps: int, whole: Sequence[str], context: Context) -> tuple[Any, int]:
    """Return the model with masks, and the first epoch of `steps` steps, from 0, that ends with the full sparsity."""
    from compress.pruning import masks
    from compress.training.fall import shortest

    length = shortest(config.schedule, config.epochs, steps) * steps
    begin, end = (round(length * share) for share in (config.ramp_begin, config.ramp))
    end = max(end, begin + 1)
    if config.spread == "global":
        shares = masks.shares_of(model, config, whole)
        told = ", ".join(f"{share:.0%} in {name}" for name, share in shares.items())
        context.note(f"{context.stage}: zeros: {told}; at most {masks.MOST:.0%} anywhere")
    return masks.with_masks(model, config, begin, end, whole), min(end // steps, config.epochs - 1)
