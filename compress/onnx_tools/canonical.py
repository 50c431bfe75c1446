"""ONNX files whose bytes depend only on the network.

Converters number names with counters that run on for as long as the process lives, and some iterate over sets. Here
nodes are put in the order of a walk back from the outputs, and names lose their counters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx

from compress.files import write_file
from compress.onnx_tools.check import check_no_external_data, without_subnormals
from compress.onnx_tools.signature import BATCH_DIMENSION


def write(model: onnx.ModelProto, file: Path) -> None:
    """Check a model and write it in canonical form.

    Raises `onnx.checker.ValidationError`, and `BadInputError` if a tensor is stored in another file.
    """
    check_no_external_data(model, str(file))
    data = canonicalize(model).SerializeToString(deterministic=True)
    onnx.checker.check_model(data, full_check=True)
    write_file(file, data)


def canonicalize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same model in canonical form, with nodes and initializers ordered and names without counters.

    Inputs and outputs keep their names; their first dimension is called `batch`. Subnormal weights become zero.
    """
    graph = model.graph
    nodes = _in_order(graph)
    constants = {constant.name: constant for constant in graph.initializer}
    kept = {value.name for value in (*graph.input, *graph.output)}
    tensor_names: dict[str, str] = {name: name for name in kept} | {"": ""}
    used_names = set(kept)
    initializers: list[onnx.TensorProto] = []
    for node in nodes:
        for name in (*node.input, *node.output):
            if name not in tensor_names:
                tensor_names[name] = _unique(name, used_names)
                if name in constants:
                    initializers.append(constants[name])
    used_names = set()
    for node in nodes:
        node.name = _unique(node.name or node.op_type, used_names)
        node.input[:] = [tensor_names[name] for name in node.input]
        node.output[:] = [tensor_names[name] for name in node.output]
        node.doc_string = ""
    for constant in initializers:
        constant.CopyFrom(without_subnormals(constant))
        constant.name = tensor_names[constant.name]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_DIMENSION
    new_graph = onnx.helper.make_graph(nodes, "main", list(graph.input), list(graph.output))
    domains = {node.domain for node in nodes}
    opsets = [opset for opset in model.opset_import if opset.domain in domains]
    canonical = onnx.helper.make_model(
        new_graph, opset_imports=opsets, ir_version=model.ir_version, producer_name="compress"
    )
    canonical.graph.initializer.extend(initializers)  # last, because make_model copies its graph
    return canonical


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that the outputs depend on, each after those that it depends on."""
    maker = {output: node for node in graph.node for output in node.output}
    done: list[onnx.NodeProto] = []
    seen: set[str] = set()

    def needs(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        return (maker[name] for name in node.input if name in maker)

    for output in graph.output:
        stack = [(maker[output.name], needs(maker[output.name]))]
        while stack:
            node, rest = stack[-1]
            waiting = next((n for n in rest if n.output[0] not in seen), None)
            if waiting is not None:
                stack.append((waiting, needs(waiting)))
            else:
                stack.pop()
                if node.output[0] not in seen:
                    seen.add(node.output[0])
                    done.append(node)
    return done


def _unique(name: str, used_names: set[str]) -> str:
    base = re.sub(r"__\d+", "", name).removesuffix(":0")
    result, n = base, 2
    while result in used_names:
        result, n = f"{base.rstrip('_')}_{n}", n + 1  # two underscores before a number would make it a counter
    used_names.add(result)
    return result
