from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

from benchmarks.small_models import write_identity
from compress.latency.inputs import feed_for
from compress.latency.model_files import first_call, open_model
from compress.onnx_tools.providers import CPU


def test_inputs_of_any_number_type_are_fed_and_free_sizes_are_one(tmp_path: Path) -> None:
    for kind, dtype in ((TensorProto.FLOAT16, np.float16), (TensorProto.INT64, np.int64), (TensorProto.BOOL, np.bool_)):
        file = write_identity(tmp_path / "m.onnx", kind, ["batch", 3, "length"])
        session = open_model(file, threads=1, provider=CPU)
        feed = feed_for(session, file, batch=5)
        first_call(session, file, feed)
        assert (feed["x"].dtype, feed["x"].shape) == (dtype, (5, 3, 1))
