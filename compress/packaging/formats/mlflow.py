"""An MLflow model: `mlflow.pyfunc.load_model(FOLDER).predict(pixels)` and `mlflow.onnx.load_model(FOLDER)`.

`MLmodel` is what `mlflow.onnx.save_model` of mlflow 3.17 writes, without the parts that depend on where it runs
(mlflow's version, the time).
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from compress.bundle.contents import LABELS, MANIFEST, MODEL, read_part
from compress.bundle.manifest import seal
from compress.packaging.source import Source

BESIDE = (LABELS, MANIFEST, "decoding.py", "preparation.py", "README.md", "LICENSE")
MLFLOW = "mlflow>=2.22,<4"  # the first and the last release in this range give the golden logits, bit by bit
RUNTIME = ("numpy", "onnx", "onnxruntime")  # what mlflow.onnx imports


def write(bundle: Source, out: Path) -> None:
    """Write the model's folder; its environment states the versions with which the model was measured."""
    beside = [name for name in BESIDE if name in bundle.files]  # bundles of earlier releases have no decoding.py
    bundle.copy((MODEL, *beside), out)
    values = {
        "python": bundle.version("python"),
        "onnx": bundle.version("onnx"),
        "requirements": [MLFLOW, *(bundle.requirement(name) for name in RUNTIME)],
        "size_bytes": len(read_part(bundle.folder, MODEL)),
        "id": uuid.uuid5(uuid.NAMESPACE_OID, seal(bundle.manifest)).hex,
        "inputs": [_tensor(bundle.manifest["input"], bundle.input_shape)],
        "outputs": [_tensor(output, [len(bundle.labels)]) for output in bundle.manifest["outputs"]],
    }
    for name in ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"):
        bundle.render(f"mlflow_{name}", out / name, **values)


def _tensor(tensor: dict[str, Any], shape: list[int]) -> dict[str, Any]:
    """Return an input or output, a batch of arrays of `shape`, as a column of MLflow's schema."""
    spec = {"dtype": tensor["type"], "shape": [-1, *shape]}
    return {"name": tensor["name"], "type": "tensor", "tensor-spec": spec}
