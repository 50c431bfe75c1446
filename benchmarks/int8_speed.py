"""How much faster VGG16 is in int8 than in float, and where the rest of the time goes.

    python -m benchmarks.int8_speed FOLDER [--side 224] [--threads 2] [--provider cpu]

Writes VGG16 with random weights and ten classes for square images of that side to FOLDER, in float and in int8, if it
is not there. That needs TensorFlow; the rest does not, and can be repeated where another build of ONNX Runtime is
installed. Then prints the medians of calls that take turns, one image each, their ratio, and the kernels that int8 ran
as, with their share of the time, if the provider tells. On 2 cores, two minutes. The .tflite file beside int8, made by
TensorFlow on the same images, is for `python -m compress bench FOLDER/vgg16-32-int8.onnx --compare litert,openvino`.
"""

from __future__ import annotations

import argparse
import random
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.commands.session_options import provider_named
from compress.latency.given import NOTHING
from compress.latency.inspection import inspect_files
from compress.latency.model_files import open_model
from compress.latency.timing import interleaved, warm_up
from compress.onnx_tools.signature import INPUT, LOGITS, PROBABILITIES
from compress.report.kernels import kernels_of, summary

CLASSES, CALIBRATED, SECONDS = 10, 8, 20.0


def main() -> None:
    """Print both medians, their ratio, and the kernels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--provider", default="cpu")
    arguments = parser.parse_args()
    provider, side = provider_named(arguments.provider), arguments.side
    files = {name: arguments.folder / f"vgg16-{side}-{name}.onnx" for name in ("fp32", "int8")}
    images = np.random.default_rng(0).integers(0, 256, (CALIBRATED, side, side, 3), np.uint8)
    if not all(file.exists() for file in files.values()):
        write(files, images)
    calls: dict[str, Any] = {}
    for name, file in files.items():
        session = open_model(file, provider=provider, threads=arguments.threads)
        calls[name] = partial(session.run, [LOGITS], {INPUT: images[:1]})
        warm_up(calls[name])
    ms = {name: statistics.median(ns) / 1e6 for name, ns in interleaved(calls, SECONDS, random.Random(0)).items()}
    print(f"{side}x{side}, threads {arguments.threads}, {provider}: fp32 {ms['fp32']:.2f} ms, int8 {ms['int8']:.2f} ms")
    print(f"int8 is {ms['fp32'] / ms['int8']:.2f} times faster")
    [found] = inspect_files({"int8": files["int8"]}, provider, arguments.threads, NOTHING)
    kernels = kernels_of(found.inspection)
    for kernel in kernels.kinds:
        print(f"{100 * kernel.share:5.1f} %  {kernel.nodes:2} {kernel.operator} ({kernel.kind})")
    print(summary(kernels))


def write(files: dict[str, Path], images: np.ndarray) -> None:
    """Write the network in float and in int8, and in int8 for LiteRT."""
    from benchmarks.int8 import int8_of
    from compress import networks
    from compress.artifacts import Network
    from compress.onnx_tools.convert import to_onnx
    from compress.tensorflow import keras, start_afresh, tf

    start_afresh(0)
    folder, shape, options = files["fp32"].parent, images.shape[1:], {"batch_norm": False}
    folder.mkdir(parents=True, exist_ok=True)
    networks.save(networks.build("teachers", "vgg16", options, shape, CLASSES), folder / "weights.npz")
    network = Network("vgg16", "teacher", "teachers", "vgg16", options, shape, CLASSES, folder / "weights.npz")
    int8_of(to_onnx(network, files["fp32"]), images, files["int8"])
    image = keras.Input(shape, name=INPUT)
    logits = networks.load(network)(image)
    outputs = keras.layers.Activation("linear", name=LOGITS)(logits), keras.layers.Softmax(name=PROBABILITIES)(logits)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, outputs))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis].astype(np.float32)] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    files["int8"].with_suffix(".tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
