"""What is known of the data before a run: from labels and the headers of images, and from short trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.artifacts import Split
from compress.recipe.trials import Learned

if TYPE_CHECKING:
    from compress.data.samples import Samples

FEW = 20  # training images of a class
SAMPLE = 2_000  # images whose sizes are looked at, evenly spread over the data


@dataclass(frozen=True)
class Facts:
    """Counts and sizes of the images.

    `counts` are images per class in the whole data, `undivided` those that the source gives to neither validation nor
    test, `given` the splits that it has. `sizes` are width and height as stored, in pixels, of a sample of the images;
    `channels` is 1 for grey or 3. `learned` is what short trainings have told, None if nothing was tried. `published`
    says why published weights cannot be had; it is empty if they can, and None if nobody asked. `whole` tells whether
    the teacher's weights are those of all layers, `trained_size` at which size they were trained, if they say so.
    """

    counts: tuple[int, ...]
    undivided: tuple[int, ...]
    given: frozenset[Split]
    sizes: tuple[tuple[int, int], ...]
    channels: int
    learned: Learned | None = None
    published: str | None = None
    whole: bool = False
    trained_size: tuple[int, int] | None = None

    def n_train(self, data: Any) -> int:
        """Return how many images are left to train on, about, with the settings of the section `data`."""
        from compress.data.splits import share_left

        return max(1, round(sum(self.undivided) * share_left(self.given, validation=data.validation, test=data.test)))

    def has_few(self, data: Any) -> bool:
        """Tell whether there are so few images of a class, on average, that more than a head could not be trained."""
        return self.n_train(data) <= FEW * len(self.counts)


def samples_of(config: Any) -> Samples:
    """Return the labelled images of a run, not decoded; raises `BadInputError` as the data's source does."""
    data = config.data
    return data.source.function(data.source.name, data.group, **data.rooted)


def facts_of(samples: Samples, config: Any) -> Facts:
    """Return the facts about labelled images that can be had without decoding them."""
    import numpy as np

    from compress.data.survey import channels_of

    splits = np.array(samples.splits or ["train"] * len(samples.images), object)
    classes = len(samples.classes)
    return Facts(
        counts=tuple(np.bincount(samples.labels, minlength=classes).tolist()),
        undivided=tuple(np.bincount(samples.labels[splits == "train"], minlength=classes).tolist()),
        given=frozenset(splits.tolist()) if samples.splits else frozenset(),
        sizes=_sizes(samples.images),
        channels=channels_of(samples.images, config.image.color),
        **_of_weights(config.teacher),
    )


def _of_weights(teacher: Any) -> dict[str, Any]:
    from compress import trained_weights

    if not teacher.is_whole:
        return {}
    described = trained_weights.described(Path(teacher.weights))
    return {"whole": True, "trained_size": described and described.image_shape[:2]}


def _sizes(images: Any) -> tuple[tuple[int, int], ...]:
    """Return width and height of a sample of the images, those left out that cannot be read."""
    from compress.data.decoding import UnreadableImageError

    sizes = []
    for i in range(0, len(images), max(1, len(images) // SAMPLE)):
        try:
            sizes.append(images.size(i))
        except UnreadableImageError:  # which the data stage reports
            continue
    return tuple(sizes)
