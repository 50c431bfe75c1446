"""Prune a network by magnitude: most weights of every kernel become zero, the rest make up for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.training.settings import Engine, LabelSettings


class Config(LabelSettings):
    """How sparse the network becomes, and how it is trained meanwhile."""

    epochs: int = Field(6, ge=1, le=10_000, description="Passes over the training images, at most.")
    learning_rate: float = Field(0.03, gt=0, le=10, description="Peak of the learning rate.")
    sparsity: float = Field(0.8, gt=0, lt=1, description="Fraction of every kernel's weights that become zero.")
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


def run(
    config: Config, balance: Balance, train: Engine, network: Network, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the pruned network's weights: the same architecture, its kernels mostly zero."""
    import dataclasses

    from compress import networks, pruning
    from compress.tensorflow import start_afresh
    from compress.training.fall import shortest
    from compress.training.supervised import fit_to_labels, label_batches

    start_afresh(context.seed)
    batches = label_batches(data, config, balance, context.seed)
    ramp_steps = max(1, round(shortest(config.schedule, config.epochs, batches.steps) * batches.steps * config.ramp))
    model = pruning.with_masks(
        networks.load(network),
        config.sparsity,
        min(config.initial_sparsity, config.sparsity),
        ramp_steps,
        config.updates,
        config.dense_ends,
    )
    fitted = fit_to_labels(
        model,
        batches,
        data,
        config,
        train,
        context,
        callbacks=[pruning.callback()],
        may_stop_from=min(ramp_steps // batches.steps, config.epochs - 1),
        metric=balance.metric,
    )
    networks.save(pruning.without_masks(model), out / "weights.npz")
    return dataclasses.replace(
        network,
        name=context.product or f"{network.name}-pruned",
        stage=context.stage,
        weights=out / "weights.npz",
        history=fitted.history,
        precision={fitted.name: fitted.precision},
        limits={fitted.name: fitted.limit},
        kept={fitted.name: fitted.kept},
        trials=(),
    )
