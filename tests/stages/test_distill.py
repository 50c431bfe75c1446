from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.onnx_tools import sessions
from compress.stages import distill, quantize
from compress.training.settings import Engine


def test_the_sources_logits_are_exact_on_processors_that_clip_sums(
    network: Network, data: Dataset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = quantize.run(quantize.Config(images=5), Balance(), network, data, tmp_path, context)
    opened = []
    real = sessions.open_session
    monkeypatch.setattr(sessions, "clips_sums", lambda: True)

    def recorded(file: Path, **options: Any) -> Any:
        opened.append(real(file, **options))
        return opened[-1]

    monkeypatch.setattr(sessions, "open_session", recorded)
    config = distill.Config(epochs=1, views=1, student=distill.Student(options={"width": 3}))

    distill.run(config, Balance(), Engine(precision="float32"), source, data, tmp_path, context)

    [session] = opened
    assert session.get_session_options().get_session_config_entry("session.x64quantprecision") == "1"
