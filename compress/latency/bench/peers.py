"""Peers: other runtimes on the CPU to compare onnxruntime with, if they are installed.

OpenVINO runs the ONNX file itself. LiteRT cannot read ONNX; it runs the .tflite file of the same name beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import Skip
from compress.untrusted import check_fetched

Run = Callable[[], list[np.ndarray]]


@dataclass(frozen=True)
class Difference:
    """How far a peer's outputs are from onnxruntime's.

    `largest` is the largest absolute difference, `of` the largest absolute output of onnxruntime.
    """

    largest: float
    of: float


def installed(peers: Sequence[str]) -> tuple[list[str], list[Skip]]:
    """Return the peers that are installed, and the others as skipped."""
    found = [peer for peer in peers if find_spec(PEERS[peer][0])]
    absent = [Skip(peer, "is not installed: pip install 'compress[peers]'") for peer in peers if peer not in found]
    return found, absent


def open_peer(peer: str, file: Path, threads: int, feed: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Run:
    """Return a call that runs a model's file on `feed` and returns the outputs of these names, in this order.

    Raises whatever the peer's library raises, and `ValueError` if its inputs or outputs have other names.
    """
    return PEERS[peer][1](file, threads, feed, outputs)


def difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Difference:
    """Compare outputs in the same order; raises `ValueError` if their shapes differ or a value is not finite."""
    shapes = [output.shape for output in found], [output.shape for output in expected]
    if shapes[0] != shapes[1]:
        raise ValueError(f"its outputs have shapes {shapes[0]}, onnxruntime's {shapes[1]}")
    pairs = [(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(found, expected, strict=True)]
    if not all(np.isfinite(values).all() for pair in pairs for values in pair):
        raise ValueError("outputs are not finite")
    return Difference(
        max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0),
        max((float(np.abs(b).max(initial=0)) for _, b in pairs), default=0.0),
    )


def _openvino(file: Path, threads: int, feed: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(file)  # by its path, beside which external data are looked for
    model.reshape({name: list(value.shape) for name, value in feed.items()})
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise bfloat16 if the processor has it: faster, but not as precise
        "ENABLE_CPU_PINNING": False,  # onnxruntime does not pin its threads either, and shares these cores
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    wanted = [compiled.output(name) for name in outputs]

    def run() -> list[np.ndarray]:
        found = request.infer(feed, share_inputs=True)
        return [found[output] for output in wanted]

    return run


def _litert(file: Path, threads: int, feed: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    tflite = file.with_suffix(".tflite")
    if not tflite.is_file():
        raise FileNotFoundError(f"{tflite}: no such file; LiteRT cannot read ONNX")
    model = tflite.read_bytes()
    check_fetched(model, str(tflite))
    interpreter = Interpreter(model_content=model, num_threads=threads)
    named_inputs, named_outputs = _signature(interpreter)
    details = _by_name("inputs", list(feed), named_inputs, interpreter.get_input_details())
    inputs = list(zip(details, feed.values(), strict=True))
    results = _by_name("outputs", outputs, named_outputs, interpreter.get_output_details())
    for detail, value in inputs:
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()

    def run() -> list[np.ndarray]:
        for detail, value in inputs:
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in results]

    return run


def _signature(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the details of a LiteRT model's inputs and outputs by the names of its first signature, if it has any.

    The signature's runner must be gone before the interpreter allocates tensors.
    """
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        return runner.get_input_details(), runner.get_output_details()
    return {}, {}


def _by_name(
    what: str, wanted: Sequence[str], signature: Mapping[str, Any], tensors: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return LiteRT's details of inputs or outputs of these names, by the names of its signature or of its tensors.

    Their order is LiteRT's own. Where there is only one, its name does not matter.
    """
    if len(wanted) == len(tensors) == 1:
        return list(tensors)
    for known in (signature, {tensor["name"].partition(":")[0]: tensor for tensor in tensors}):
        if set(known) == set(wanted):
            return [known[name] for name in wanted]
    names = ", ".join(signature or (tensor["name"] for tensor in tensors))
    raise ValueError(f"its {what} are {names}, onnxruntime's {', '.join(wanted)}: they should have the same names")


Open = Callable[[Path, int, Mapping[str, np.ndarray], Sequence[str]], Run]
PEERS: dict[str, tuple[str, Open]] = {
    "openvino": ("openvino", _openvino),
    "litert": ("ai_edge_litert", _litert),
}
