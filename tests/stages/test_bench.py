from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.artifacts import Dataset, Skip
from compress.context import Context
from compress.data.images import images_of
from compress.latency.bench import all_providers
from compress.stages import bench


def test_it_measures_on_as_many_validation_images_as_the_largest_batch_has_and_says_what_it_skipped(
    data: Dataset, notes: list[str], context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def measure(models: Any, images: np.ndarray, batches: tuple[int, ...], *arguments: Any) -> Any:
        given.extend((images, batches))
        return SimpleNamespace(skipped=(Skip("a model on a GPU", "there is none"),))

    monkeypatch.setattr(all_providers, "measure", measure)
    models: Any = SimpleNamespace(models=())

    bench.run(bench.Config(batches=(1, 4)), models, data, tmp_path, context)

    np.testing.assert_array_equal(given[0], images_of(data, "validation")[:4])
    assert given[1] == (1, 4)
    assert notes == ["here: skipped a model on a GPU: there is none"]
