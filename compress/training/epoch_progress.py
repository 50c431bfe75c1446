"""What is told while an epoch trains."""

from __future__ import annotations

from collections.abc import Callable

from compress.context import Context
from compress.tensorflow import keras


class EpochProgress(keras.callbacks.Callback):
    """Reports how far an epoch has come, and ends it in the step in which its loss is no longer finite."""

    def __init__(self, context: Context, epochs: int, check: Callable[[str, float, str], None]) -> None:
        super().__init__()
        self.context, self.epoch, self.epochs, self.check = context, 0, epochs, check

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report a step that is done."""
        mean = logs.get("loss") if isinstance(logs, dict) else None
        if isinstance(mean, float):  # otherwise it is not known yet
            self.check("loss", mean, f"step {batch + 1} of ")
        done = (self.epoch + (batch + 1) / self.params["steps"]) / self.epochs
        loss = f", loss {logs['loss']:.4f}" if isinstance(logs, dict) and logs else ""
        self.context.progress(done, f"epoch {self.epoch + 1}/{self.epochs}{loss}")
