from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_compress


@pytest.mark.parametrize("module", ["compress.tensorflow", "compress.pruning.masks", "compress.onnx_tools.convert"])
def test_whichever_room_imports_tensorflow_first_it_is_quiet_exact_and_keras_is_2(module: str, tmp_path: Path) -> None:
    facts = "tf.keras.Model.__module__.partition('.')[0], tf.config.experimental.tensor_float_32_execution_enabled()"
    result = run_compress(tmp_path, python=("-c", f"import {module}, tensorflow as tf; print({facts})"))

    assert (result.stdout, result.stderr) == ("tf_keras False\n", "")
