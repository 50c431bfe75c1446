"""Conversion of a trained Keras network to an ONNX file that maps pixels to logits and probabilities."""

from __future__ import annotations

from pathlib import Path

from compress import networks
from compress.artifacts import Network, OnnxModel
from compress.onnx_tools.canonical import write
from compress.onnx_tools.precisions import FP32
from compress.onnx_tools.signature import INPUT, LOGITS, PROBABILITIES
from compress.tensorflow import start_afresh, tf

import tf2onnx  # isort: skip  # after Keras 2 is chosen

OPSET = 17


def to_onnx(network: Network, file: Path) -> OnnxModel:
    """Write a network as an ONNX file with the inputs and outputs that `signature` describes; return the model."""
    start_afresh(seed=0)  # nothing is random here; this makes layer names independent of earlier models
    model = networks.load(network)

    def classify(image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(image, tf.float32), training=False)
        return {LOGITS: logits, PROBABILITIES: tf.nn.softmax(logits)}

    signature = [tf.TensorSpec((None, *network.image_shape), tf.uint8, name=INPUT)]
    proto, _ = tf2onnx.convert.from_function(tf.function(classify), signature, opset=OPSET)
    write(proto, file)
    return OnnxModel(
        name=network.name,
        stage=network.stage,
        precision=FP32.name,
        image_shape=network.image_shape,
        classes=network.classes,
        file=file,
    )
