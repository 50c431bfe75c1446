"""Static int8 quantization after training, through ONNX Runtime.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
Weights get one scale per channel, activations one per tensor. The scales are stored in QuantizeLinear /
DequantizeLinear pairs (QDQ) around standard operators, so that any runtime can read the file. The last product's sums
stay in float: nothing computes with logits, and eight bits would only round them.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from compress.artifacts import OnnxModel
from compress.errors import CompressError
from compress.onnx_tools.canonical import write
from compress.onnx_tools.precisions import INT8
from compress.onnx_tools.sessions import session_of
from compress.onnx_tools.signature import INPUT, LOGITS
from compress.quantization.layers import output_axis
from compress.quantization.observation import Observed, Range
from compress.quantization.pixels import spans_of_pixels, take_as_they_are
from compress.quantization.portability import saturating
from compress.quantization.preparation import prepare, unfit
from compress.quantization.targets import Activations, Target

DENSE = ["Gemm", "MatMul"]
QUANTIZED_OPERATORS = ["Conv", *DENSE, "Clip", "MaxPool", "Relu"]
ACTIVATIONS = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def observed(model: OnnxModel, images: np.ndarray, folder: Path) -> Observed:
    """Return what a float model's activations are on images `(n, h, w, c) uint8`, one image after the other.

    These are the inputs and outputs of all operators to quantize. A copy of the model lies in a folder for a moment.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        file = Path(temporary) / "observed.onnx"
        names = _write_observable(model, file)
        session = session_of(str(file), as_written=True)  # given as bytes, the model would be kept as long as it
    return Observed(partial(_activations, session, images, names))


def _write_observable(model: OnnxModel, file: Path) -> list[str]:
    """Write a model that gives its activations too, and return their names."""
    with _without_advice():
        network = load_model_with_shape_infer(model.file)
    prepare(network.graph)
    values = {value.name: value for value in (*network.graph.value_info, *network.graph.input, *network.graph.output)}
    touched = {
        name
        for node in network.graph.node
        if node.op_type in QUANTIZED_OPERATORS
        for name in (*node.input, *node.output)
    }
    names = sorted(name for name in touched & set(values) if _is_float(values[name]))
    outputs = {output.name for output in network.graph.output}
    network.graph.output.extend(values[name] for name in names if name not in outputs)
    onnx.save(network, file)
    return names


def quantize_for(
    target: Target,
    model: OnnxModel,
    ranges: Mapping[str, Range],
    file: Path,
    *,
    activations: Activations,
    in_float: Collection[str] = (),
) -> OnnxModel:
    """Write the int8 version of a float model for some processors; arguments and result as those of `quantize`.

    Where sums of two products could exceed 16 bits, weights of 7 bits keep them within: 2 * 64 * 255 < 2^15.
    """
    write_int8 = partial(
        quantize, model, ranges, file, activations=activations, in_float=in_float, options=target.options
    )
    int8 = write_int8()
    layers = [product.node.name for product in saturating(onnx.load(file).graph)] if target.pairs_fit else []
    if layers:
        int8 = write_int8(seven_bits=layers)
        if left := saturating(onnx.load(file).graph):
            raise CompressError(f"{model.id}: {left[0].node.name} can still exceed 16 bits; its name should be another")
    return int8


def quantize(
    model: OnnxModel,
    ranges: Mapping[str, Range],
    file: Path,
    *,
    activations: Activations,
    in_float: Collection[str] = (),
    seven_bits: Collection[str] = (),
    options: Mapping[str, Any] = NO_OPTIONS,
) -> OnnxModel:
    """Write the int8 version of a float model, whose activations, by name, have these ranges.

    The nodes in `in_float`, by name, stay as they are, and the weights of those in `seven_bits` are from -64 to 64.
    `options` are those of ONNX Runtime's `QDQQuantizer`. Returns the quantized model.
    """
    with _without_advice():
        network = load_model_with_shape_infer(model.file)
        prepare(network.graph)
        quantizer = QDQQuantizer(
            network,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=ACTIVATIONS[activations],
            tensors_range=_as_tensors_data({**ranges, **_known(network.graph, ranges)}),
            nodes_to_quantize=[],
            nodes_to_exclude=[*in_float, *unfit(network.graph)],
            op_types_to_quantize=QUANTIZED_OPERATORS,
            extra_options={**options, "TensorQuantOverrides": _seven_bits(network.graph, seven_bits)},
        )
        quantizer.quantize_model()
    _leave_logits_in_float(network.graph)
    take_as_they_are(network.graph)
    write(network, file)
    return dataclasses.replace(model, precision=INT8.name, file=file)


def _known(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Return the ranges that need no calibration, of those that are given: pixels are 0 to 255."""
    return {name: span for name, span in spans_of_pixels(graph).items() if name in ranges}


def _seven_bits(graph: onnx.GraphProto, nodes: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what `QDQQuantizer` has to be told of the weights of these nodes: the axis of outputs, a reduced range."""
    return {
        node.input[1]: [{"axis": output_axis(node), "reduce_range": True}] for node in graph.node if node.name in nodes
    }


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def _activations(session: Any, images: np.ndarray, names: list[str]) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield a network's activations on one image after the other, so that only one image's are held."""
    for image in images:
        yield dict(zip(names, session.run(names, {INPUT: np.ascontiguousarray(image[np.newaxis])}), strict=True))


def _as_tensors_data(found: Mapping[str, Range]) -> TensorsData:
    limits = {name: tuple(np.array(limit, np.float32) for limit in found[name]) for name in found}
    return TensorsData(CalibrationMethod.MinMax, limits)  # the method that has a range and nothing else


def _leave_logits_in_float(graph: onnx.GraphProto) -> None:
    """Take the pair of QuantizeLinear and DequantizeLinear out between the logits and the products they are made of."""
    makers = {output: node for node in graph.node for output in node.output}
    stack = [LOGITS]
    while stack:
        node = makers.get(stack.pop())
        if node is None or node.op_type in QUANTIZED_OPERATORS:
            continue
        if node.op_type != "DequantizeLinear":
            stack.extend(node.input)
            continue
        quantize_linear = makers.get(node.input[0])
        product = makers.get(quantize_linear.input[0]) if quantize_linear else None
        if quantize_linear and product and product.op_type in DENSE:
            product.output[0] = node.output[0]
            graph.node.remove(quantize_linear)
            graph.node.remove(node)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide warnings that recommend preprocessing: the converter has already folded batch normalization."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
