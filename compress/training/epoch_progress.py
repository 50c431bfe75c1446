"""What is told of how far a training is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compress.context import Context
from compress.tensorflow import keras


@dataclass(frozen=True)
class Length:
    """How many epochs a training takes, or may take at most while that is not known."""

    epochs: int
    is_known: bool

    def words(self, epoch: int) -> str:
        """Return an epoch, counted from 1, in words."""
        return f"epoch {epoch}/{self.epochs}" if self.is_known else f"epoch {epoch} of at most {self.epochs}"

    def share(self, epochs: float) -> float:
        """Return how much is done after so many epochs, from 0 to 1; at least that much if the length is not known."""
        return epochs / self.epochs


class EpochProgress(keras.callbacks.Callback):
    """Reports how far an epoch has come, and ends it in the step in which its loss is no longer finite."""

    def __init__(self, context: Context, check: Callable[[str, float, str], None]) -> None:
        super().__init__()
        self.context, self.check = context, check

    def begin(self, epoch: int, length: Length) -> None:
        """Take the epoch that comes next, counted from 0, in a training of that length."""
        self.epoch, self.length = epoch, length

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report a step that is done."""
        mean = logs.get("loss") if isinstance(logs, dict) else None
        if isinstance(mean, float):  # otherwise it is not known yet
            self.check("loss", mean, f"step {batch + 1} of ")
        done = self.length.share(self.epoch + (batch + 1) / self.params["steps"])
        loss = f", loss {logs['loss']:.4f}" if isinstance(logs, dict) and logs else ""
        self.context.progress(done, f"{self.length.words(self.epoch + 1)}{loss}")
