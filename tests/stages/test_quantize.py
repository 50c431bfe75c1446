from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.images import images_of
from compress.quantization import static
from compress.stages import quantize


def test_it_calibrates_on_training_images_alone_and_on_no_more_than_are_set(
    network: Network, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    real = static.quantize

    def recorded(model: Any, images: np.ndarray, *arguments: Any, **settings: Any) -> Any:
        seen.append(images)
        return real(model, images, *arguments, **settings)

    monkeypatch.setattr(static, "quantize", recorded)

    quantize.run(quantize.Config(images=5), network, data, tmp_path, context)
    quantize.run(quantize.Config(images=500), network, data, tmp_path, context)

    train = images_of(data, "train")[:]
    np.testing.assert_array_equal(seen[0], train[:5])
    np.testing.assert_array_equal(seen[1], train)
