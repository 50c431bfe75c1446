"""Running an int8 model as a processor without VNNI does, on any processor.

The products that can saturate (portability.py) cut the graph into segments. ONNX Runtime runs each as it is written,
and what clipping adds is added to the product that it ends with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx.helper import make_graph, make_model, make_tensor_value_info, np_dtype_to_tensor_dtype

from compress.artifacts import OnnxModel
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session, session_of
from compress.onnx_tools.signature import INPUT, LOGITS, OUTPUTS
from compress.quantization.portability import IntegerProduct, saturating

AT_ONCE = 2**17  # pixels of images that are run together


def accuracies(model: OnnxModel, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the accuracy of an int8 model where sums are exact, and where those of two products are clipped.

    `images` is `(n, height, width, channels) uint8`. Neither depends on the processor that computes it.
    """
    exact = scoring.run(open_session(model.file, as_written=True), images)
    [clipped] = SaturatingSession(model).run([LOGITS], {INPUT: images})
    return float(np.mean(exact.argmax(axis=1) == labels)), float(np.mean(clipped.argmax(axis=1) == labels))


class SaturatingSession:
    """An int8 model whose sums of two products saturate at 16 bits; `run` is that of `onnxruntime.InferenceSession`."""

    def __init__(self, model: OnnxModel) -> None:
        loaded = onnx.load(model.file)
        self._segments = _segments(loaded, saturating(loaded.graph))

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return outputs for a batch of images, `feeds` being `{"image": images}`."""
        images = feeds[INPUT]
        at_once = max(1, AT_ONCE // int(np.prod(images.shape[1:3])))
        parts = [self._run(images[i : i + at_once]) for i in range(0, len(images), at_once)]
        return [np.concatenate([part[name] for part in parts]) for name in outputs]

    def _run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        values = {INPUT: images}
        for segment in self._segments:
            made = segment.run(values)
            values |= made
            if segment.product:
                product = segment.product
                made[product.node.output[0]] += product.saturation(values[product.activations])
            values = {name: value for name, value in values.items() if name in segment.kept}
        return values


@dataclass
class _Segment:
    """Nodes that run together, the last of which is the product, if there is one; `kept` is what later ones need."""

    network: onnx.ModelProto
    nodes: Sequence[onnx.NodeProto]
    product: IntegerProduct | None
    kept: frozenset[str]
    session: Any = field(default=None, init=False)

    def run(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what later segments, and the product, need of what the nodes make."""
        if self.session is None:
            self.session = self._open(values)
        names = [output.name for output in self.session.get_outputs()]
        given = {each.name: values[each.name] for each in self.session.get_inputs()}
        return dict(zip(names, self.session.run(names, given), strict=True))

    def _open(self, values: Mapping[str, np.ndarray]) -> Any:
        read = {name for node in self.nodes for name in node.input}
        made = [name for node in self.nodes for name in node.output]
        needed = self.kept | ({self.product.node.output[0], self.product.activations} if self.product else set())
        inputs = [
            make_tensor_value_info(name, np_dtype_to_tensor_dtype(values[name].dtype), None)
            for name in sorted(read & set(values))
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in made if name in needed]
        constants = [tensor for tensor in self.network.graph.initializer if tensor.name in read]
        graph = make_graph(self.nodes, "segment", inputs, outputs, constants)
        model = make_model(graph, opset_imports=self.network.opset_import, ir_version=self.network.ir_version)
        return session_of(model.SerializeToString(), as_written=True)


def _segments(network: onnx.ModelProto, products: Sequence[IntegerProduct]) -> list[_Segment]:
    """Return a network's nodes, cut after each of these products."""
    nodes = list(network.graph.node)
    by_output = {product.node.output[0]: product for product in products}
    cuts = [i + 1 for i, node in enumerate(nodes) if node.output[0] in by_output]
    segments = []
    for start, stop in zip([0, *cuts], [*cuts, len(nodes)], strict=True):
        kept = frozenset(name for node in nodes[stop:] for name in node.input) | set(OUTPUTS)
        kept |= {product.activations for product in products}  # which may be made in an earlier segment
        product = by_output.get(nodes[stop - 1].output[0])
        segments.append(_Segment(network, nodes[start:stop], product, kept))
    return [segment for segment in segments if segment.nodes]
