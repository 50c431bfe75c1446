"""Prune the student as the teacher was pruned, if that is asked for."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.stages import prune
from compress.training.settings import Engine


class Config(prune.Config):
    """Whether the student is pruned, and how."""

    enabled: bool = Field(False, description="Whether the student is pruned; otherwise it stays as it is.")

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return self.enabled

    @property
    def measures_speed(self) -> bool:
        """Whether the result depends on measured speed, and so on the machine."""
        return self.enabled and super().measures_speed

    def key_settings(self) -> dict[str, Any]:
        """Return the settings that the result depends on: none if the student stays as it is."""
        return super().key_settings() if self.enabled else {"enabled": False}


def run(
    config: Config, balance: Balance, train: Engine, network: Network, data: Dataset, out: Path, context: Context
) -> Network:
    """Write the weights of the pruned student, or of the student as it is."""
    if config.enabled:
        return prune.run(config, balance, train, network, data, out, context)
    return dataclasses.replace(network, weights=Path(shutil.copy(network.weights, out / "weights.npz")))
