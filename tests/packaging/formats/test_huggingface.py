from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.bundle.manifest import read_manifest
from compress.bundle.verify import verify
from compress.packaging.formats.huggingface import preprocessor, write
from compress.packaging.package import package
from compress.packaging.source import Source
from tests.conftest import Run
from tests.test_templates import LABELS


@pytest.fixture
def repository(tiny_run: Run, tmp_path: Path) -> Path:
    return package(tiny_run.bundle, "huggingface", tmp_path / "repository")


def test_the_repository_is_a_bundle_that_verifies(repository: Path) -> None:
    assert any("bit-equal" in line for line in verify(repository))
    assert (repository / "README.md").read_text().startswith("---\nlicense: ")


@pytest.mark.parametrize("network", ["pruned", "student"])
def test_the_variants_of_the_deployed_network_have_the_hubs_names(network: str, tiny_run: Run, tmp_path: Path) -> None:
    """Which network a run deploys depends on how fast this machine measured them."""
    manifest = {**read_manifest(tiny_run.bundle), "deployed": f"{network}-fp32"}

    write(Source(tiny_run.bundle, manifest, ()), tmp_path)

    for name, precision in (("model.onnx", "fp32"), ("model_quantized.onnx", "int8")):
        variant = tiny_run.bundle / "variants" / f"{network}-{precision}.onnx"
        assert (tmp_path / "onnx" / name).read_bytes() == variant.read_bytes()


def test_the_configuration_maps_labels_to_outputs_and_back(repository: Path) -> None:
    config = json.loads((repository / "config.json").read_bytes())

    assert config["id2label"] == {str(i): str(i) for i in range(10)}
    assert config["label2id"] == {str(i): i for i in range(10)}
    assert (config["image_size"], config["num_channels"]) == (32, 1)


def test_labels_of_any_characters_stay_the_same(tiny_run: Run, tmp_path: Path) -> None:
    write(Source(tiny_run.bundle, read_manifest(tiny_run.bundle), tuple(LABELS)), tmp_path)

    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert list(config["id2label"].values()) == LABELS
    assert config["label2id"] == {label: i for i, label in enumerate(LABELS)}


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}}),
        ("stretch", {"size": {"height": 32, "width": 32}, "do_center_crop": False}),
        ("pad", {"do_resize": None, "do_center_crop": False}),
    ],
)
def test_the_preparation_neither_scales_nor_normalizes(fit: str, expected: dict[str, Any], tiny_run: Run) -> None:
    manifest = read_manifest(tiny_run.bundle)
    manifest["image"]["fit"] = fit

    said = preprocessor(Source(tiny_run.bundle, manifest, ()))

    assert {key: said.get(key) for key in expected} == expected
    assert (said["do_rescale"], said["do_normalize"], said["resample"]) == (False, False, 2)
    assert said["preparation"] == manifest["image"]


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", {"do_resize": None, "size": None, "do_center_crop": False, "crop_size": None}),
        ("stretch", {"do_resize": True, "size": {"height": 32, "width": 96}, "do_center_crop": False}),
    ],
)
def test_a_crop_to_a_rectangle_is_left_to_preparation(fit: str, expected: dict[str, Any], tiny_run: Run) -> None:
    manifest = read_manifest(tiny_run.bundle)
    manifest["image"] |= {"fit": fit, "size": [32, 96]}

    said = preprocessor(Source(tiny_run.bundle, manifest, ()))

    assert {key: said.get(key) for key in expected} == expected
