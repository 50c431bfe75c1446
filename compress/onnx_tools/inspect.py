"""What an ONNX file runs as: which kernels are left once onnxruntime has optimized it, and of which precision.

A file that holds integers may be run in float all the same: which operators a runtime fuses with the conversions around
them depends on the operator, on its neighbors and on the machine. Its profile says what ran, and the graph that it has
made says where that stands.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx

from compress.data.samples import printable
from compress.kernels import Inspection, Kernel, Kind, Left
from compress.onnx_tools.check import nodes_of, tensors
from compress.onnx_tools.placement import node_events, node_of
from compress.onnx_tools.steering import read_model

MIN_CALLS, MAX_CALLS, SECONDS = 3, 50, 0.5  # of each model
OPTIMIZED = "optimized.onnx"

CONVERSIONS = {"Cast", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}
# What a runtime puts between kernels that want another layout or device, and takes away where they want the same
LAYOUTS = {"MemcpyFromHost", "MemcpyToHost", "ReorderInput", "ReorderOutput", "Transpose"}
# Operators that change where values stand, in memory or in a tensor, and compute nothing
# fmt: off
MOVEMENTS = LAYOUTS | {
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape",
    "Shape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Unsqueeze",
}
# fmt: on
QUANTIZE_INSIDE = {"DynamicQuantizeLSTM", "DynamicQuantizeMatMul"}  # float goes in and out, integers are multiplied
WITH_BODIES = {"If", "Loop", "Scan"}  # their time is that of the nodes in their bodies, which are counted themselves
PRODUCTS = re.compile("Attention|Conv|Einsum|Gemm|GRU|LSTM|MatMul|RNN")  # or parts of names: QLinearConv
INT8, FLOATS = {"int8", "uint8"}, {"float", "float16", "bfloat16", "double"}

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Node:
    """A node that ran: its name, and what it is as a kind of kernel of one node."""

    name: str
    kernel: Kernel


def inspect(models: Mapping[str, tuple[Callable[..., Any], Feed]]) -> dict[str, Inspection]:
    """Run models a few times, in turns, and return what each runs as.

    A model is a function that opens a session, given the options `profile` and `optimized` of `sessions.session_of`,
    and a value for each input. Times are those of onnxruntime's profile: medians, in whole microseconds a run, of calls
    that are slowed down by being observed. On a GPU they end when a kernel is launched.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / str(i) for i, name in enumerate(models)}
        sessions = {name: _open(open_, folders[name]) for name, (open_, _) in models.items()}
        calls = _take_turns([(sessions[name], feed) for name, (_, feed) in models.items()])
        return {name: _inspection(session, folders[name], calls) for name, session in sessions.items()}


def kind_of(operator: str, takes: str, gives: str) -> Kind:
    """Return what kind of kernel an operator is with a first input and output of these types.

    It computes with integers of 8 bits if it takes or gives them: a product may give sums of 32 bits, or floats.
    """
    if operator in CONVERSIONS:
        return "conversion"
    if operator in MOVEMENTS:
        return "movement"
    if operator in QUANTIZE_INSIDE or {takes, gives} & INT8:
        return "int8"
    return "float" if {takes, gives} & FLOATS else "other"


def _open(open_: Callable[..., Any], folder: Path) -> Any:
    folder.mkdir()
    try:
        return open_(profile=folder / "profile", optimized=folder / OPTIMIZED)
    except Exception:  # a provider that compiles its part cannot write that down; any other error comes again
        return open_(profile=folder / "profile")


def _take_turns(sessions: Sequence[tuple[Any, Feed]]) -> int:
    """Run each session on what it is fed, one after the other, for a while; return how many times.

    Whatever else slows the machine down meanwhile slows all of them down, so that their times can be compared.
    """
    end = time.monotonic() + SECONDS * len(sessions)
    for calls in range(1, MAX_CALLS + 1):
        for session, feed in sessions:
            session.run(None, feed)
        if calls >= MIN_CALLS and time.monotonic() > end:
            break
    return calls


def _inspection(session: Any, folder: Path, calls: int) -> Inspection:
    nodes = _nodes(Path(session.end_profiling()), calls)
    graph = read_model(folder / OPTIMIZED) if (folder / OPTIMIZED).exists() else None
    others = tuple(node.name for node in nodes if node.kernel.is_product and node.kernel.kind != "int8")
    return Inspection(_kernels(nodes), others, _left(graph, nodes) if graph else None)


def _nodes(profile: Path, calls: int) -> list[_Node]:
    """Return the nodes that ran, in order; a node in a loop takes the time of all its rounds."""
    runs: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in node_events(profile):
        if event["args"]["op_name"] not in WITH_BODIES:
            runs[node_of(event)].append(event)
    nodes = []
    for (provider, name, _), events in runs.items():
        told = events[0]["args"]
        operator, takes, gives = told["op_name"], _type(told["input_type_shape"]), _type(told["output_type_shape"])
        us = median(event["dur"] for event in events) * len(events) / calls  # the first call's are among the slow half
        kind, is_product = kind_of(operator, takes, gives), bool(PRODUCTS.search(operator))
        kernel = Kernel(operator, provider, kind, is_product, takes, gives, 1, us)
        nodes.append(_Node(_text(name.removesuffix("_kernel_time")), kernel))
    return nodes


def _type(values: list[dict[str, Any]]) -> str:
    """Return the type of the first of the values that a profile tells of; empty if there are none."""
    return next((kind for value in values for kind in value), "")


def _text(name: str | bytes) -> str:
    """Return a name in a model, which is bytes where it is not UTF-8, as one line of text."""
    return printable(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))


def _kernels(nodes: Iterable[_Node]) -> tuple[Kernel, ...]:
    """Return the kinds of kernels, the slowest first."""
    alike: dict[Kernel, list[float]] = defaultdict(list)
    for node in nodes:
        alike[replace(node.kernel, us=0.0)].append(node.kernel.us)
    kinds = [replace(kernel, nodes=len(us), us=sum(us)) for kernel, us in alike.items()]
    return tuple(sorted(kinds, key=lambda kernel: -kernel.us))


def _left(model: onnx.ModelProto, nodes: Iterable[_Node]) -> tuple[Left, ...]:
    """Return the conversions and transpositions in an optimized graph and its bodies, in order.

    They are found in the profile by their names. One that has a name and is not there did not run: it is in a branch
    that was not taken.
    """
    us = {(node.kernel.operator, node.name): node.kernel.us for node in nodes}
    graph_nodes = list(nodes_of(model.graph))
    makers = {output: node.op_type for node in graph_nodes for output in node.output}
    makers |= {tensor.name: "weights" for tensor in tensors(model)}
    takers: dict[str, list[str]] = defaultdict(list)
    for node in graph_nodes:
        for name in node.input:
            takers[name].append(node.op_type)
    return tuple(
        Left(
            operator=node.op_type,
            tensor=_text(node.input[0]),
            after=makers.get(node.input[0], "input"),
            before=tuple(dict.fromkeys(takers[node.output[0]])) or ("output",),
            us=us.get((node.op_type, _text(node.name))),
        )
        for node in graph_nodes
        if node.op_type in CONVERSIONS | LAYOUTS and (not node.name or (node.op_type, _text(node.name)) in us)
    )
