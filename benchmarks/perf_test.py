"""An equivalent of onnxruntime's `onnxruntime_perf_test` in Python."""

from __future__ import annotations

import time
from pathlib import Path

import onnxruntime

from compress.latency.inputs import feed_for


def perf_test(file: Path, threads: int, seconds: float) -> list[int]:
    """Return the time of each call in ns: calls made one after the other for `seconds`, after one to warm up.

    The session has onnxruntime's default options except for the threads. Values are bound, which keeps the share of
    Python in a call smallest (`run_with_ort_values` takes about 60 us longer than C++ would).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in feed_for(session, file).items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        times.append(time.perf_counter_ns() - start)
    return times
