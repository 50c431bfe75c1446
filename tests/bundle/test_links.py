"""Bundles made of links, as caches of hubs and mounted volumes hold them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import compress
from compress.arrays import load_arrays
from compress.bundle.verify import verify
from compress.errors import BadInputError
from compress.packaging.package import package
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.models import load_models


def hub_cache(bundle: Path) -> Path:
    """Lay a bundle out as huggingface_hub's cache does: each file a link to a blob that its digest names."""
    snapshot, blobs = bundle.parent / "cache" / "snapshots" / "0123abcd", bundle.parent / "cache" / "blobs"
    blobs.mkdir(parents=True)
    for path in [path for path in bundle.rglob("*") if path.is_file()]:
        name = path.relative_to(bundle)
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(Path(*[".."] * (1 + len(name.parts)), "blobs", blob.name))
    return snapshot


def volume(bundle: Path) -> Path:
    """Lay a bundle out as Kubernetes mounts a volume: links to a link to a dated folder."""
    mount = bundle.parent / "mount"
    mount.mkdir()
    names = [path.name for path in bundle.iterdir()]
    bundle.rename(mount / "..2026_11_27")
    (mount / "..data").symlink_to("..2026_11_27")
    for name in names:
        (mount / name).symlink_to(Path("..data", name))
    return mount


@pytest.mark.parametrize("lay_out", [hub_cache, volume])
def test_a_bundle_of_links_verifies_predicts_serves_and_packages(
    lay_out: Callable[[Path], Path], bundle: Path, tmp_path: Path
) -> None:
    golden = load_arrays(bundle / "golden.npz")
    linked = lay_out(bundle)
    Image.fromarray(golden["images"][0][..., 0]).save(tmp_path / "one.png")
    label = str(golden["logits"][0].argmax())

    assert any("bit-equal" in line for line in verify(linked))
    assert compress.load(linked).predict(tmp_path / "one.png")[0].label == label
    assert list(load_models([linked], 1, Limits(), Metrics())) == ["digits"]
    assert (package(linked, "triton", tmp_path / "out") / "digits" / "1" / "model.onnx").is_file()
    command = [sys.executable, "classify.py", str(tmp_path / "one.png")]
    assert subprocess.check_output(command, cwd=linked, text=True).split()[-1] == label


@pytest.mark.parametrize("lay_out", [hub_cache, volume])
def test_nothing_is_packaged_into_a_cache(lay_out: Callable[[Path], Path], bundle: Path, tmp_path: Path) -> None:
    linked = lay_out(bundle)
    before = sorted(linked.parent.rglob("*"))

    with pytest.raises(BadInputError, match=r"is in a cache or a volume, .*--out should name a folder$"):
        package(linked, "triton")

    assert sorted(linked.parent.rglob("*")) == before


def test_nothing_is_packaged_into_a_cache_without_links(bundle: Path, tmp_path: Path) -> None:
    """As the Hub's cache is on Windows."""
    (tmp_path / "snapshots").mkdir()

    with pytest.raises(BadInputError, match=r"--out should name a folder$"):
        package(bundle.rename(tmp_path / "snapshots" / "0123abcd"), "triton")


@pytest.mark.parametrize("name", ["labels.txt", "model.onnx"])
def test_a_link_to_what_the_manifest_does_not_state_is_not_loaded(name: str, bundle: Path) -> None:
    (bundle / name).rename(bundle.parent / "outside")
    (bundle / name).symlink_to(bundle.parent / "outside")
    compress.load(bundle)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"][name]["sha256"] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(BadInputError, match=f"{name}: is a link to content of another sha256"):
        compress.load(bundle)
