"""Some of the images, to try things on before a run; none of them will be in its test split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.context import stage_seed

if TYPE_CHECKING:
    import numpy as np

    from compress.data.samples import RawImages, Samples

Size = int | tuple[int, int]  # a side, or height and width

MOST = 3000  # images that are looked at
CHUNK = 64  # of them that are prepared at a time, at most


@dataclass(frozen=True)
class Sample:
    """Images at several sizes, and which of them to train on and which to tell.

    `pixels` holds `(n, height, width, channels) uint8` for each size; `labels`, `(n,) int64`, are indices into
    `classes`. `train` and `held_out` are indices of images that the data stage will put into train or validation.
    """

    pixels: dict[Size, np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    train: np.ndarray
    held_out: np.ndarray


def sample_of(samples: Samples, config: Any, channels: int, sizes: Sequence[Size], memo: Path) -> Sample:
    """Return at most `MOST` of the images, and copies of the last, prepared at each of the sizes.

    They are those with the smallest digests, which are a random sample. Of copies, the one with the smallest digest
    decides which split all are in (see `divide`); so no copy outside the sample can put an image of it into test.
    Images that are the same at one size may differ at another: only those are used that are not in test at any. What a
    sample cannot tell is whether an image outside it ties two groups together.

    A quarter of the images is held out, at random, but copies together, or groups if there are any. `config` is the
    run's, `memo` a file that keeps the digests of files. Images that cannot be read are left out. Raises
    `BadInputError` as `divide` does.
    """
    import numpy as np

    from compress.data.splits import divide
    from compress.data.survey import content_of

    given, digests = samples.splits, samples.images.digests(memo)
    readable = {i: digest for i, digest in enumerate(digests) if digest is not None}
    candidates = {i: digest for i, digest in readable.items() if given is None or given[i] != "test"}
    last = max(sorted(candidates.values())[:MOST], default=b"")
    looked = [i for i, digest in candidates.items() if digest <= last]
    preparations = [config.image.model_copy(update={"size": size}).preparation(channels) for size in sizes]
    *pixels, seen = _prepared(samples.images.take(np.array(looked, np.int64)), preparations)
    left_out = {i for i, is_seen in zip(looked, seen, strict=True) if not is_seen}
    kept = [i for i in readable if i not in left_out]
    rows = {i: row for row, i in enumerate(looked)}
    not_in_test = set(rows.values())
    for images in pixels:
        division = divide(
            [readable[i] for i in kept],
            [content_of(images[rows[i]]) if i in rows else readable[i] for i in kept],
            samples.labels[kept],
            samples.classes,
            validation=config.data.validation,
            test=config.data.test,
            seed=stage_seed(config.seed, "data"),
            given=None if given is None else [given[i] for i in kept],
            groups=None if samples.groups is None else [samples.groups[i] for i in kept],
        )
        in_test = {rows.get(kept[i]) for i in division.indices["test"]}
        not_in_test -= in_test | {rows[i] for i in left_out}
    tried = np.array(sorted(not_in_test), np.int64)
    groups = None if samples.groups is None else [samples.groups[i] for i in looked]
    held_out = np.array([_is_held_out(groups[row] if groups else content_of(pixels[0][row])) for row in tried], bool)
    by_size = dict(zip(sizes, pixels, strict=True))
    return Sample(by_size, samples.labels[looked], samples.classes, tried[~held_out], tried[held_out])


def _is_held_out(unit: str | bytes) -> bool:
    """Tell whether a group, or an image of this content, is in the quarter that is held out."""
    name = unit.encode("utf-8", "surrogateescape") if isinstance(unit, str) else unit
    return hashlib.sha256(b"held out" + name).digest()[0] < 64


def _prepared(images: RawImages, preparations: list[dict[str, Any]]) -> list[np.ndarray]:
    """Return the images as each of the preparations makes them and, last, which of them can be read, `(n,) bool`."""
    import numpy as np

    from compress.data.samples import Files
    from compress.data.workers import Workers, in_order

    workers = Workers((images, preparations), len(images) if isinstance(images, Files) else 0)
    chunks = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]
    parts = list(in_order(lambda chunk: workers.submit(_prepare_chunk, chunk), chunks or [range(0)]))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _prepare_chunk(state: tuple[RawImages, list[dict[str, Any]]], indices: range) -> list[np.ndarray]:
    import numpy as np

    from compress.data.decoding import UnreadableImageError
    from compress.data.preparation import prepare, prepared_shape

    images, preparations = state
    pixels = [np.zeros((len(indices), *prepared_shape(settings)), np.uint8) for settings in preparations]
    seen = np.zeros(len(indices), bool)
    for row, index in enumerate(indices):
        try:
            image, _ = images.open(index)
            for into, settings in zip(pixels, preparations, strict=True):
                into[row] = prepare(image, **settings)
            seen[row] = True
        except UnreadableImageError:
            continue
    return [*pixels, seen]
