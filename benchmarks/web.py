"""Whether a bundle's models run in onnxruntime-web, on one thread, and give the same labels.

    python benchmarks/web.py exported/NAME

Needs Node.js and npm, which fetches onnxruntime-web. Every variant classifies the golden images in WebAssembly and in
ONNX Runtime on the CPU; prints how many labels are the same, how far logits are off as a part of the largest one, and
milliseconds to load and to run one image. Exit code 1 where a label is another.
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

from compress.arrays import load_arrays
from compress.bundle.golden import golden_logits

PROGRAM = Path(__file__).with_suffix(".mjs")


def main() -> None:
    """Print a line for each model of a bundle."""
    bundle = Path(sys.argv[1])
    images = load_arrays(bundle / "golden.npz")["images"]
    same = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copyfile(PROGRAM, folder / PROGRAM.name)
        (folder / "images.bin").write_bytes(images.tobytes())
        subprocess.run(["npm", "install", "--silent", "onnxruntime-web@1"], cwd=folder, check=True)
        for model in [bundle / "model.onnx", *sorted((bundle / "variants").iterdir())]:
            said = run(folder, model, images.shape)
            expected = golden_logits(model.read_bytes(), images)
            logits = np.array(said["logits"], np.float32).reshape(expected.shape)
            equal = int(np.sum(logits.argmax(axis=1) == expected.argmax(axis=1)))
            off = np.abs(logits - expected).max() / np.abs(expected).max()
            same &= equal == len(images)
            print(
                f"{model.name:<20} onnxruntime-web {said['version']}: {equal} of {len(images)} labels the same, logits "
                f"off by {off:.1e}; loads in {said['load_ms']:.0f} ms, an image takes {said['run_ms']:.2f} ms",
                flush=True,
            )
    sys.exit(0 if same else 1)


def run(folder: Path, model: Path, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what web.mjs says of a model."""
    command = ["node", PROGRAM.name, str(model.resolve()), "images.bin", json.dumps(shape)]
    return json.loads(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
