"""Settings of trainings that learn from the logits of another network."""

from __future__ import annotations

from pydantic import Field

from compress.plugins import Choice
from compress.training.settings import TrainingSettings


class Loss(Choice):
    """A loss that makes a network follow its source's logits."""

    package, entry = "compress.distillation.losses", "loss"
    name: str = "hinton"


class FollowingSettings(TrainingSettings):
    """The loss, and the views of the training images for which the source's logits are computed, once."""

    loss: Loss = Field(
        Loss(), description="A file in compress/distillation/losses/; its options are the loss's, such as temperature."
    )
    views: int = Field(8, ge=1, le=1000, description="Views of every image: the image itself and augmented ones.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Fraction of a label spread over all classes.")
