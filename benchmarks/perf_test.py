"""What onnxruntime's own `onnxruntime_perf_test` does, in Python."""

from __future__ import annotations

import time
from pathlib import Path

import onnxruntime

from compress.latency.inputs import feed_for


def perf_test(file: Path, threads: int, seconds: float) -> list[int]:
    """Return the nanoseconds of each call in so many seconds: one call to warm up, then one after the other.

    The session has onnxruntime's default options but for the threads. Values are bound, which leaves the least of
    Python in a call (`run_with_ort_values` takes some 60 us more than C++ would).
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
