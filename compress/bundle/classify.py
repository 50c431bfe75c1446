"""Classify image files with the model in this folder. Needs onnxruntime, numpy and Pillow; usage:

    python classify.py IMAGE...

Every bundle contains this file, beside its model, decoding.py and preparation.py.
"""

import json
import sys
from pathlib import Path

import numpy
import onnxruntime

HERE = Path(__file__).absolute().parent
sys.path.insert(0, str(HERE))  # Python puts the folder there that this file leads to, if it is a link

from preparation import (  # type: ignore[import-not-found]  # noqa: E402  # beside this file in a bundle
    UnreadableImageError,
    open_image,
    prepare,
    read_file,
)


def main() -> None:
    """Print each file's name and its most probable label."""
    settings = json.loads((HERE / "manifest.json").read_bytes())["image"]
    labels = [line.decode() for line in (HERE / "labels.txt").read_bytes().splitlines()]
    session = onnxruntime.InferenceSession(HERE / "model.onnx")  # as bytes it would look elsewhere for external data
    for path in sys.argv[1:]:
        try:
            pixels = prepare(open_image(read_file(Path(path))), **settings)[None]
        except UnreadableImageError as error:
            sys.exit(f"{path}: {error}")
        probabilities = session.run(["probabilities"], {"image": pixels})[0]
        if not numpy.isfinite(probabilities).all():
            sys.exit(f"{path}: the model's probabilities are not finite")
        print(path, labels[probabilities.argmax()], sep="\t")


if __name__ == "__main__":
    main()
