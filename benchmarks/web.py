"""Checks that a bundle's models run in onnxruntime-web, on one thread, and give the same labels.

    python benchmarks/web.py exported/NAME

Needs Node.js and npm, which fetches onnxruntime-web. Every variant classifies the golden images in WebAssembly and in
ONNX Runtime on the CPU, there both by default and with exact int8, because the default's sums saturate on x86
processors without VNNI. Prints how many labels are the same, how far off the logits are, as a fraction of the largest,
and the milliseconds to load the model and to run one image. Exit code 1 if a label differs from that with exact int8.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.arrays import load_arrays

PROGRAM = Path(__file__).with_suffix(".mjs")
EXACT = "session.x64quantprecision"  # of ONNX Runtime's session options


def main() -> None:
    """Print two lines per model in the bundle."""
    bundle = Path(sys.argv[1])
    images = load_arrays(bundle / "golden.npz")["images"]
    same = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copyfile(PROGRAM, folder / PROGRAM.name)
        (folder / "images.bin").write_bytes(images.tobytes())
        subprocess.run(["npm", "install", "--silent", "onnxruntime-web@1"], cwd=folder, check=True)
        for model in [bundle / "model.onnx", *sorted((bundle / "variants").iterdir())]:
            result = in_web(folder, model, images.shape)
            logits = np.array(result["logits"], np.float32).reshape(len(images), -1)
            times = f"loads in {result['load_ms']:.0f} ms, an image takes {result['run_ms']:.2f} ms"
            print(f"{model.name}: onnxruntime-web {result['version']} {times}")
            default, exact = (compared(logits, on_cpu(model, images, exact)) for exact in ("0", "1"))
            print(f"  against the CPU: {default[1]}; with exact int8: {exact[1]}", flush=True)
            same &= exact[0]
    sys.exit(0 if same else 1)


def in_web(folder: Path, model: Path, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what web.mjs prints about a model."""
    command = ["node", PROGRAM.name, str(model.resolve()), "images.bin", json.dumps(shape)]
    return json.loads(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout)


def on_cpu(model: Path, images: np.ndarray, exact: str) -> np.ndarray:
    """Return a model's logits for images; `exact` is "1" or "0"."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry(EXACT, exact)
    return onnxruntime.InferenceSession(model, options).run(["logits"], {"image": images})[0]


def compared(logits: np.ndarray, expected: np.ndarray) -> tuple[bool, str]:
    """Return whether all labels are the same, and a text with their number and the error of the logits."""
    same = int(np.sum(logits.argmax(axis=1) == expected.argmax(axis=1)))
    off = np.abs(logits - expected).max() / np.abs(expected).max()
    return same == len(logits), f"{same} of {len(logits)} labels the same, logits off by {off:.1e}"


if __name__ == "__main__":
    main()
