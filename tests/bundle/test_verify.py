from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compress.arrays import load_arrays, save_arrays
from compress.bundle.contents import sums
from compress.bundle.golden import golden_logits, noise, write_golden
from compress.bundle.manifest import SEAL, manifest_text, read_manifest, seal
from compress.bundle.verify import verify
from compress.errors import BadInputError, CompressError
from compress.onnx_tools.providers import CPU, CUDA, TENSORRT
from compress.onnx_tools.sessions import session_of
from tests.conftest import Run, run_compress, run_main

FLIPS = {".json": 12, "": 12}  # in files whose every part is checked in its own way; 2 in the others


def test_a_bundle_as_it_was_made_verifies_and_its_logits_are_bit_equal(tiny_run: Run) -> None:
    lines = list(verify(tiny_run.bundle))

    assert any("golden images on CPUExecutionProvider: logits bit-equal" in line for line in lines)


def test_a_flipped_bit_is_found_in_every_file_and_the_file_named(bundle: Path) -> None:
    draw = random.Random(0)
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    assert len(files) > 20
    for path in files:
        whole = path.read_bytes()
        for _ in range(FLIPS.get(path.suffix, 2)):
            damaged = bytearray(whole)
            damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            path.write_bytes(damaged)
            with pytest.raises(BadInputError) as error:
                list(verify(bundle))
            assert str(error.value).startswith(str(path)), (path, error.value)
        path.write_bytes(whole)


def reseal(bundle: Path, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> None:
    """Make hashes and seals right again, as somebody does who means harm."""
    manifest = read_manifest(bundle)
    change(manifest)
    for path in (bundle / "model.onnx", *(bundle / "variants").iterdir()):
        try:
            model = onnx.load_model_from_string(path.read_bytes())
        except Exception:
            continue
        for entry in model.metadata_props:
            if entry.key == SEAL:
                entry.value = seal(manifest)
        path.write_bytes(model.SerializeToString())
    for name, file in manifest["files"].items():
        if (bundle / name).is_file():
            data = (bundle / name).read_bytes()
            file |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    text = manifest_text(manifest)
    (bundle / "manifest.json").write_text(text, "utf-8")
    digests = {name: file["sha256"] for name, file in manifest["files"].items()}
    digests["manifest.json"] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "SHA256SUMS").write_text(sums(digests), "utf-8")


def model_of(change: Callable[[onnx.ModelProto], None]) -> Callable[[Path], None]:
    """Change the deployed model, with right hashes."""

    def damage(bundle: Path) -> None:
        deployed = bundle / "variants" / f"{read_manifest(bundle)['deployed']}.onnx"
        model = onnx.load_model_from_string(deployed.read_bytes())
        change(model)
        for path in (deployed, bundle / "model.onnx"):
            path.write_bytes(model.SerializeToString())
        reseal(bundle)

    return damage


def manifest_with(**values: Any) -> Callable[[Path], None]:
    """Change keys of the manifest, which is then checked before anything else."""

    def damage(bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_bytes())
        (bundle / "manifest.json").write_text(manifest_text({**manifest, **values}), "utf-8")

    return damage


def listed_too(name: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_bytes())
        manifest["files"][name] = {"size": 1, "sha256": "0" * 64}
        (bundle / "manifest.json").write_text(manifest_text(manifest), "utf-8")

    return damage


def external(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location

    return change


def golden_with(**values: Any) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        save_arrays(bundle / "golden.npz", {**load_arrays(bundle / "golden.npz"), **values})
        reseal(bundle)

    return damage


def written(name: str, data: bytes) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        (bundle / name).write_bytes(data)

    return damage


def resealed(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(bundle: Path) -> None:
        damage(bundle)
        reseal(bundle)

    return both


def linked(name: str, to: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        target = bundle / name
        moved = bundle.parent / "outside"
        target.rename(moved)
        target.symlink_to(moved if to == "outside" else to)

    return damage


def half_a_character(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes()) | {"machine": {"cpu": "\ud800"}}
    (bundle / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def truncated(bundle: Path) -> None:
    path = bundle / "model.onnx"
    path.write_bytes(path.read_bytes()[:1000])


def piped(bundle: Path) -> None:
    (bundle / "labels.txt").unlink()
    os.mkfifo(bundle / "labels.txt")


def huge(model: onnx.ModelProto) -> None:
    shape = helper.make_tensor("huge", TensorProto.INT64, [1], [1 << 40])
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge"], ["so_many"]))


def declared(model: onnx.ModelProto) -> None:
    max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data)).dims[0] = 1 << 40


def more_than_there_is(model: onnx.ModelProto) -> None:
    max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data)).dims[0] += 1


def subnormal(model: onnx.ModelProto) -> None:
    values = onnx.numpy_helper.from_array(np.full(3, 1e-40, np.float32), "tiny")
    model.graph.initializer.append(values)


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 17)]))


def renamed_output(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.output[:] = ["scores" if name == "logits" else name for name in node.output]
        node.input[:] = ["scores" if name == "logits" else name for name in node.input]
    model.graph.output[0].name = "scores"


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Steal"


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifest": (lambda bundle: (bundle / "manifest.json").unlink(), "manifest.json: No such file"),
    "no model": (lambda bundle: (bundle / "model.onnx").unlink(), "model.onnx: No such file"),
    "no sums": (lambda bundle: (bundle / "SHA256SUMS").unlink(), "SHA256SUMS: No such file"),
    "manifest that is no JSON": (written("manifest.json", b"{"), "is not JSON"),
    "manifest that is a list": (written("manifest.json", b"[]"), "is not a JSON object"),
    "manifest of deep lists": (written("manifest.json", b"[" * 100_000), "is not JSON"),
    "manifest of half a character": (half_a_character, "manifest.json: is not as it was written"),
    "manifest of another schema": (manifest_with(schema=3), "schema"),
    "manifest with more keys": (manifest_with(run="rm -rf"), "run"),
    "manifest with a huge image": (manifest_with(image={"size": 1 << 30}), "image"),
    "manifest with three sides": (manifest_with(image={"size": [8, 8, 8]}), "image"),
    "path out of the bundle": (listed_too("../outside"), "files"),
    "absolute path": (listed_too("/etc/passwd"), "files"),
    "path with a null": (listed_too("a\0b"), "files"),
    "name that is a path": (manifest_with(name="../x"), "name"),
    "name of two lines": (manifest_with(name="x\nRUN y"), "name"),
    "version that is more": (manifest_with(versions={"python": "3.11\nRUN y"}), "versions.python"),
    "input of another name": (
        manifest_with(input={"name": "x", "type": "uint8", "shape": ["batch", 32, 32, 1], "layout": "NHWC"}),
        "input.name",
    ),
    "deployed out of the bundle": (manifest_with(deployed="../../x"), "deployed"),
    "file that is not there": (listed_too("more.txt"), "manifest.json: files: more.txt: No such file"),
    "wrong hash": (written("labels.txt", b"a\nb\n"), "labels.txt: not as written"),
    "truncated model": (truncated, "model.onnx: not as written"),
    "truncated model, right hash": (resealed(truncated), "is not an ONNX model"),
    "model that is text": (resealed(written("model.onnx", b"hello world")), "is not an ONNX model"),
    "model that is a pickle": (resealed(written("model.onnx", b"\x80\x04K\x01.")), "is no"),
    "link to another file": (linked("labels.txt", "LICENSE"), "labels.txt: is a link"),
    "link to a file outside": (linked("labels.txt", "/etc/passwd"), "labels.txt: is a link"),
    "link to a device": (linked("model.onnx", "/dev/zero"), "model.onnx: is not a regular file"),
    "linked folder": (linked("variants", "."), "No such file"),
    "pipe": (piped, "labels.txt: is not a regular file"),
    "external data": (model_of(external("weights.bin")), "is in another file"),
    "external data elsewhere": (model_of(external("../../../../etc/passwd")), "is in another file"),
    "declared size": (model_of(declared), "declares"),
    "declared size beyond the values": (model_of(more_than_there_is), "declares"),
    "tensor too large when it runs": (model_of(huge), "would have"),
    "subnormal weights": (model_of(subnormal), "subnormal"),
    "foreign operators": (model_of(foreign), "'com.microsoft'"),
    "functions of its own": (model_of(function), "should have only those of ONNX itself"),
    "unknown operator": (model_of(unknown_operator), "is not a valid model"),
    "another output": (model_of(renamed_output), "should have logits"),
    "labels of another model": (
        resealed(written("labels.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")),
        "labels.txt: has other labels",
    ),
    "labels for fewer outputs": (resealed(written("labels.txt", b"a\nb\n")), "should have logits"),
    "labels that are no text": (resealed(written("labels.txt", b"\xff\n" * 10)), "labels.txt: is not UTF-8"),
    "golden of pickles": (golden_with(images=np.zeros((1, 32, 32, 1), np.int64)), "golden.npz"),
    "golden of another shape": (golden_with(logits=np.zeros((3, 10), np.float32)), "golden.npz"),
    "golden that is no archive": (resealed(written("golden.npz", b"PK")), "golden.npz: cannot be read as .npz"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_in_one_line(name: str, bundle: Path) -> None:
    damage, expected = HOSTILE[name]
    damage(bundle)

    with pytest.raises(BadInputError) as error:
        list(verify(bundle))

    assert expected in str(error.value)
    assert "\n" not in str(error.value)


CHANGED: dict[str, tuple[str, ...]] = {
    "all texts": ("manifest.json", "SHA256SUMS", "labels.txt", "classify.py"),
    "manifest": ("manifest.json",),
    "sums": ("SHA256SUMS",),
    "labels": ("labels.txt",),
}


@pytest.mark.parametrize("name", CHANGED)
def test_line_endings_that_git_changed_are_called_that(name: str, bundle: Path) -> None:
    for file in CHANGED[name]:
        (bundle / file).write_bytes((bundle / file).read_bytes().replace(b"\n", b"\r\n"))

    with pytest.raises(BadInputError, match=f"{CHANGED[name][0]}: line endings were changed"):
        list(verify(bundle))


def test_other_logits_than_the_golden_ones_are_a_check_that_failed(bundle: Path) -> None:
    logits = load_arrays(bundle / "golden.npz")["logits"]
    golden_with(logits=logits + np.float32(1))(bundle)

    with pytest.raises(CompressError, match="gives logits that differ by 1") as error:
        list(verify(bundle))
    assert error.value.exit_code == 1


def test_logits_within_the_tolerance_pass(bundle: Path) -> None:
    arrays = load_arrays(bundle / "golden.npz")
    golden_with(logits=arrays["logits"] + arrays["tolerance"] / 2)(bundle)

    assert "allowed" in list(verify(bundle))[-1]


def test_a_bundle_without_golden_outputs_verifies_and_says_so(bundle: Path) -> None:
    (bundle / "golden.npz").unlink()
    reseal(bundle, lambda manifest: manifest["files"].pop("golden.npz"))

    assert list(verify(bundle))[-1] == "skipped the outputs: the bundle has no golden.npz"


def test_golden_noise_is_verified_like_images(bundle: Path) -> None:
    model = (bundle / "model.onnx").read_bytes()
    write_golden(bundle / "golden.npz", model, read_manifest(bundle)["deployed"].rpartition("-")[2], noise((32, 32, 1)))
    reseal(bundle)

    assert "16 golden images on CPUExecutionProvider: logits bit-equal" in list(verify(bundle))[-1]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_clone_that_would_change_line_endings_verifies(bundle: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=true"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "A bundle"], ["clone", "-q", ".", "../clone"]):
        subprocess.run([*git, *command], cwd=bundle, check=True, capture_output=True)

    list(verify(bundle.parent / "clone"))


def failing_on(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """List CUDA beside the CPU, and let one of them not start."""

    def logits(model: bytes, images: np.ndarray, asked: str) -> np.ndarray:
        if asked == provider:
            raise RuntimeError("no device\nat line 1")
        return golden_logits(model, images)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr("compress.bundle.verify.golden_logits", logits)


def test_a_provider_that_is_listed_but_cannot_start_is_skipped(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_on("CUDAExecutionProvider", monkeypatch)

    *_, skipped, checked = verify(tiny_run.bundle)

    assert skipped == "skipped CUDAExecutionProvider: no device"
    assert "golden images on CPUExecutionProvider: logits bit-equal" in checked


@pytest.mark.parametrize(
    ("provider", "off", "passes"), [(TENSORRT, 1e-3, True), (TENSORRT, 1e-2, False), (CUDA, 1e-3, False)]
)
def test_a_provider_that_cannot_compute_in_fp32_may_be_off_by_what_tf32_rounds(
    provider: str, off: float, passes: bool, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = load_arrays(tiny_run.bundle / "golden.npz")
    monkeypatch.setattr("compress.bundle.verify.read_golden", lambda *_: (arrays["images"], arrays["logits"], 1e-9))
    found = arrays["logits"] + np.float32(off * np.abs(arrays["logits"]).max())
    monkeypatch.setattr("compress.bundle.verify.golden_logits", lambda *_: found)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider])

    if passes:
        assert "allowed" in list(verify(tiny_run.bundle))[-1]
    else:
        with pytest.raises(CompressError, match=f"{provider} gives logits that differ"):
            list(verify(tiny_run.bundle))


def test_golden_logits_are_computed_in_fp32_where_the_providers_default_is_tf32(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def session(model: bytes, *, provider_options: object, **options: object) -> Any:
        asked.append(provider_options)
        return session_of(model)

    monkeypatch.setattr("compress.bundle.golden.session_of", session)
    images = load_arrays(tiny_run.bundle / "golden.npz")["images"]

    for provider in (CUDA, CPU):
        golden_logits((tiny_run.bundle / "model.onnx").read_bytes(), images, provider)

    assert asked == [{"use_tf32": "0"}, {}]


def test_a_model_that_fails_on_the_cpu_is_refused(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_on(CPU, monkeypatch)

    with pytest.raises(BadInputError, match=r"model.onnx: fails to run: no device$"):
        list(verify(tiny_run.bundle))


def test_verify_on_the_command_line(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, bundle.parent, "verify", "digits") == 0
    assert capsys.readouterr().out.endswith("digits: verified\n")
    (bundle / "labels.txt").write_text("x\n")
    assert run_main(monkeypatch, bundle.parent, "verify", "digits") == 2
    assert capsys.readouterr().err.startswith(f"error: digits{os.sep}labels.txt")


def test_sha256sum_reads_the_sums(tiny_run: Run) -> None:
    for line in (tiny_run.bundle / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tiny_run.bundle / name).read_bytes()).hexdigest() == digest


def test_quick_commands_load_no_tensorflow(tiny_run: Run, tmp_path: Path) -> None:
    code = (
        "import sys; from compress import cli; sys.argv = ['compress', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'tensorflow' not in sys.modules"
    )
    packaged = ["package", "--format", "docker", "--out", str(tmp_path / "context")]
    for command in (["verify"], ["evaluate", "--data", "digits"], packaged):
        result = run_compress(tiny_run.folder, command[0], str(tiny_run.bundle), *command[1:], python=("-c", code))
        assert result.returncode == 0, result.stderr
