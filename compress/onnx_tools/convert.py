"""Conversion of a trained Keras network to an ONNX file that maps pixels to logits and probabilities.

tf2onnx copies each constant several times in each of its passes. Here large constants stay out of the TensorFlow graph
that it reads, and out of the protocol buffers that its passes write, so that the memory taken is a small multiple of
the weights' size.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import onnx

from compress import networks
from compress.artifacts import Network, OnnxModel
from compress.onnx_tools.canonical import write
from compress.onnx_tools.pixels import fold_scaling
from compress.onnx_tools.precisions import FP32
from compress.onnx_tools.signature import INPUT, LOGITS, PROBABILITIES
from compress.tensorflow import start_afresh, tf

import tf2onnx  # isort: skip  # after Keras 2 is chosen
import tf2onnx.graph  # isort: skip
import tf2onnx.optimizer  # isort: skip
import tf2onnx.tf_loader  # isort: skip
import tf2onnx.tfonnx  # isort: skip

OPSET = 17
LARGE = 1 << 16  # bytes of a constant's values


def to_onnx(network: Network, file: Path) -> OnnxModel:
    """Write a network as an ONNX file with the inputs and outputs that `signature` describes; return the model."""
    start_afresh(seed=0)  # nothing is random here; this makes layer names independent of earlier models
    with tf.device("/cpu:0"):
        model = _converted(_frozen(network), network.name)
    fold_scaling(model.graph)
    gc.collect()
    write(model, file)
    return OnnxModel(
        name=network.name,
        stage=network.stage,
        precision=FP32.name,
        image_shape=network.image_shape,
        classes=network.classes,
        file=file,
    )


class _Frozen(NamedTuple):
    """A TensorFlow graph without variables, its large constants beside it."""

    graph: Any  # GraphDef
    constants: dict[str, bytes]  # by the names of their nodes
    image: str  # the name of a tensor
    outputs: list[str]
    names: dict[str, str]  # those of the tensors in the ONNX model


def _frozen(network: Network) -> _Frozen:
    """Return a network as a graph from pixels to logits and probabilities."""
    model = networks.load(network)

    def classify(image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(image, tf.float32), training=False)
        return {LOGITS: logits, PROBABILITIES: tf.nn.softmax(logits)}

    signature = tf.TensorSpec((None, *network.image_shape), tf.uint8, name=INPUT)
    function = tf.function(classify).get_concrete_function(signature)
    image = function.inputs[0].name  # its other inputs are the weights
    outputs = [tensor.name for tensor in function.outputs]
    names = tf2onnx.convert.tensor_names_from_structed(function, [image], outputs)
    graph = tf2onnx.tf_loader.from_function(function, [image], outputs, large_model=True)
    constants = _taken_out(graph)
    graph = type(graph).FromString(graph.SerializeToString())  # a message holds on to what was taken out of it
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph, name="")
        graph = tf2onnx.tf_loader.tf_optimize([image], outputs, imported.as_graph_def(add_shapes=True))
    _put_back(graph, constants)
    return _Frozen(graph, constants, image, outputs, names)


def _taken_out(graph: Any) -> dict[str, bytes]:
    """Turn the large constants of a TensorFlow graph into inputs; return their values by the names of their nodes."""
    values = {}
    for node in graph.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is not None and len(tensor.tensor_content) > LARGE:
            values[node.name] = tensor.tensor_content
            node.op = "Placeholder"
            node.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
            del node.attr["value"]
    return values


def _put_back(graph: Any, constants: Mapping[str, bytes]) -> None:
    """Turn these inputs of a TensorFlow graph into constants again, with their types and shapes, but without values."""
    for node in graph.node:
        if node.name in constants:
            node.op = "Const"
            tensor = node.attr["value"].tensor
            tensor.dtype = node.attr["dtype"].type
            tensor.tensor_shape.CopyFrom(node.attr["shape"].shape)
            del node.attr["shape"]


def _converted(frozen: _Frozen, name: str) -> onnx.ModelProto:
    """Return the ONNX model of a frozen graph."""
    gc.collect()  # Keras's models refer to themselves
    with tf.Graph().as_default() as graph, _constants_left_alone():
        tf.import_graph_def(frozen.graph, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            graph,
            continue_on_error=True,
            opset=OPSET,
            input_names=[frozen.image],
            output_names=frozen.outputs,
            const_node_values=frozen.constants,
            tensors_to_rename=frozen.names,
        )
        frozen.constants.clear()
        gc.collect()  # so do tf2onnx's graphs
        # with catch_errors, each pass would work on a copy of the whole graph
        return tf2onnx.optimizer.optimize_graph(converted, catch_errors=False).make_model(name)


@contextmanager
def _constants_left_alone() -> Iterator[None]:
    """Keep tf2onnx from writing each constant into its node's message again after each pass.

    Nobody reads it there, and a message holds on to what was replaced in it: 20 times the weights in the end.
    """
    node = tf2onnx.graph.Node
    update_proto = node.update_proto

    def update_others(self: Any, external_tensor_storage: Any = None) -> None:
        if not self.is_const():
            update_proto(self, external_tensor_storage)

    node.update_proto = update_others
    try:
        yield
    finally:
        node.update_proto = update_proto
