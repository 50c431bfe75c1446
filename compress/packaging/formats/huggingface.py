"""A repository for the Hugging Face Hub: the bundle as it is, and the files that the Hub's tools look for.

The files in `onnx/` have the names that Transformers.js looks for. The bundle's own files stay as they are, so that a
clone of the repository passes `python -m compress verify`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL.Image import Resampling

from compress.onnx_tools.precisions import PRECISIONS
from compress.packaging.source import Source


def write(bundle: Source, out: Path) -> None:
    """Write the repository's folder, which `hf upload USER/NAME OUT` uploads to the Hub."""
    bundle.copy(bundle.files, out)
    network = bundle.manifest["deployed"].rpartition("-")[0]
    variants = {f"variants/{network}-{row.name}.onnx": row.hub_file for row in PRECISIONS.values()}
    existing = {variant: name for variant, name in variants.items() if variant in bundle.files}
    for variant, name in existing.items():
        bundle.copy_as(variant, out / "onnx" / name)
    bundle.render("onnx_readme.md", out / "onnx" / "README.md", variants=existing)
    _write_json(out / "config.json", _config(bundle))
    _write_json(out / "preprocessor_config.json", preprocessor(bundle))


def _config(bundle: Source) -> dict[str, Any]:
    """Return the keys of transformers' PretrainedConfig for a classifier; transformers has no such architecture."""
    height, width, channels = bundle.input_shape
    return {
        "model_type": "onnx",
        "problem_type": "single_label_classification",
        "image_size": height if height == width else [height, width],
        "num_channels": channels,
        "id2label": dict(enumerate(bundle.labels)),
        "label2id": {label: i for i, label in enumerate(bundle.labels)},
    }


def preprocessor(bundle: Source) -> dict[str, Any]:
    """Return the preparation as settings of transformers' image processors, and as those of preparation.py.

    Nothing is scaled or normalized, because the model takes bytes. Image processors have no setting for `pad`, and
    none for a crop to a rectangle: they resize an image's shortest edge without a look at the longest.
    """
    image, (height, width, channels) = bundle.manifest["image"], bundle.input_shape
    size, not_expressible = {"height": height, "width": width}, {"do_center_crop": False}
    crop = {"do_resize": True, "size": {"shortest_edge": height}, "do_center_crop": True, "crop_size": size}
    resize: dict[str, dict[str, Any]] = {
        "crop": crop if height == width else not_expressible,
        "stretch": {"do_resize": True, "size": size, "do_center_crop": False},
        "pad": not_expressible,
    }
    return {
        "do_convert_rgb": channels == 3,
        **resize[image["fit"]],
        "resample": int(Resampling.BILINEAR),
        "do_rescale": False,
        "do_normalize": False,
        "data_format": "channels_last",
        "preparation": image,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
