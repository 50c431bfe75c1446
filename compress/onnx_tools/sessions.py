"""Opening ONNX files. External data are loaded from the model's own folder, custom operators never."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.onnx_tools.external import may_have_external_data
from compress.onnx_tools.providers import CPU, load_libraries

QUIET = 4  # log only what ends the process; every other error is raised, and shown in one line


def open_session(file: Path, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` for a file; the options are those of `session_of`.

    For a model given as bytes, onnxruntime would look for external data in the current folder.
    """
    model = file.read_bytes()
    return session_of(str(file) if may_have_external_data(model) else model, **options)


def session_of(
    model: bytes | str,
    *,
    threads: int = 0,
    provider: str = CPU,
    spinning: bool = True,
    as_written: bool = False,
    exact: bool = False,
    provider_options: Mapping[str, str] | None = None,
    profile: Path | None = None,
    optimized: Path | None = None,
) -> Any:
    """Return an `onnxruntime.InferenceSession` that runs every node of a model on `provider`.

    `model` is the bytes of its file or, for external data, its path. `threads` 0 means one per core. On a provider
    other than the CPU, onnxruntime raises an error if any node would fall back to the CPU. Without `spinning`, idle
    threads sleep, so that several sessions in one process do not disturb each other. `as_written` runs node by node
    what the file says: integers are then multiplied in float, which gives the same on every processor but for rounding,
    and takes longer. With `exact`, kernels that would clip sums of two products to 16 bits, those of x86 without VNNI,
    are replaced by slower ones, so that 8-bit products are the same everywhere. With `profile`, the beginning of a
    path, the session logs each node's runs to a file, whose name `end_profiling` returns. With `optimized`, a path, it
    writes the graph that it runs there, large weights beside it.
    """
    onnxruntime.set_default_logger_severity(QUIET)  # the providers' libraries use the default logger
    load_libraries(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if exact and clips_sums():  # elsewhere the slower kernels would change nothing
        options.add_session_config_entry("session.x64quantprecision", "1")
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if optimized:
        options.optimized_model_filepath = str(optimized)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
    providers = [(provider, dict(provider_options or {}))]
    # enable_fallback: otherwise a provider that fails, now or later, is replaced by another with only a printed note
    return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)


@cache
def clips_sums() -> bool:
    """Tell, by trying it, whether ONNX Runtime clips sums of two 8-bit products to 16 bits on this processor.

    x86 without VNNI does (PMADDUBSW, Intel Software Developer's Manual, volume 2B): 2 * 255 * 127 exceeds 2^15.
    """
    import onnx
    from onnx import numpy_helper
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    constants = {"w": np.full((2, 1), 127, np.int8), "zero": np.int8(0), "first": np.uint8(0)}
    graph = make_graph(
        [make_node("MatMulInteger", ["x", "w", "first", "zero"], ["y"])],
        "pair",
        [make_tensor_value_info("x", onnx.TensorProto.UINT8, [1, 2])],
        [make_tensor_value_info("y", onnx.TensorProto.INT32, [1, 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)
    [[[summed]]] = session_of(model.SerializeToString(), threads=1).run(["y"], {"x": np.full((1, 2), 255, np.uint8)})
    return bool(summed != 2 * 255 * 127)
