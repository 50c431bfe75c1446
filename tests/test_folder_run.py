"""The whole pipeline on a folder of people's own images, made rectangles: mixed sizes, a rare class, bad files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import compress
from compress.bundle.verify import verify
from compress.packaging.package import package
from tests.conftest import TINY, run_main
from tests.serve.conftest import request_of, serving

FEW = ["teacher.epochs=2", "prune.epochs=1", "distill.epochs=2", "bench.seconds=0.1", "distill.views=2"]
# Nothing moves: XLA would compile that for every size of a batch
STILL = "augmentation={shift = 0, rotation = 0, zoom = 0, brightness = 0.2}"
FEW += [f"{stage}.{STILL}" for stage in ("teacher", "prune", "distill")]
ARGUMENTS = ["--data", "images", "--skip-bad", "--set", "balance.method=oversample", "--config", str(TINY)]
ARGUMENTS += ["--set", "image.size=[32, 96]"]
ARGUMENTS += [part for setting in FEW for part in ("--set", setting)]


def make_images(folder: Path) -> None:
    """100 images with one unreadable file, nine of ten more red and the tenth more blue, half of each clear."""
    random = np.random.default_rng(0)
    for label in ("red", "blue"):
        (folder / label).mkdir(parents=True)
    for i in range(99):
        height, width = random.integers(30, 80, 2)
        pixels = random.integers(0, 128, (height, width, 4))
        pixels[..., 2 if i % 10 == 0 else 0] += 100
        pixels[..., 3] = 255 * (np.arange(width) < width * 2 // 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / ("blue" if i % 10 == 0 else "red") / f"{i}.png")
    (folder / "red" / "broken.png").write_bytes(b"no image")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    make_images(folder / "images")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_main(monkeypatch, folder, "all", *ARGUMENTS) == 0
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "exported" / "images" / "report.json").read_bytes())


def test_the_report_says_what_the_data_was(folder: Path, report: dict[str, Any]) -> None:
    assert report["run"]["classes"] == ["blue", "red"]
    assert [bad["name"] for bad in report["data"]["left_out"]] == ["red/broken.png"]
    description = json.loads((folder / "exported" / "images" / "data.json").read_bytes())
    assert description["kinds"] == {"PNG RGBA": 99}
    assert description["images"] == 99
    assert all(0 <= model["test"]["auc"] <= 1 for model in report["models"])


def test_the_report_shows_each_classs_recall_without_and_with_balance(report: dict[str, Any]) -> None:
    assert report["balance"]["method"] == "oversample"
    rows = {row["class"]: row for row in report["balance"]["recall"]}
    assert set(rows) == {"red", "blue"}
    assert rows["blue"]["train"] < rows["red"]["train"]
    for name, row in rows.items():
        assert row["with"] == report["models"][0]["test"]["class_recall"][name]
        assert 0 <= row["without"] <= 1


def test_the_manifest_states_how_images_are_prepared_and_the_bundle_does_so(folder: Path) -> None:
    bundle = folder / "exported" / "images"
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert manifest["image"] == {"size": [32, 96], "fit": "crop", "channels": 3, "background": [255, 255, 255]}

    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import json, numpy, preparation as p; from pathlib import Path\n"
        "settings = json.load(open(sys.argv[1] + '/manifest.json'))['image']\n"
        "images = [p.prepare(p.open_image(p.read_file(Path(f))), **settings) for f in sys.argv[2:]]\n"
        "numpy.save('seen.npy', images)"
    )
    files = sorted((folder / "images").rglob("[0-9]*.png"), key=lambda path: os.fsencode(path))
    subprocess.run([sys.executable, "-I", "-c", code, str(bundle), *map(str, files)], cwd=folder, check=True)

    [data] = (folder / ".compress" / "store" / "data").iterdir()
    stored = np.load(data / "images.npy")
    kept = np.sort(np.concatenate([np.load(data / f"{split}.npy") for split in ("train", "validation", "test")]))
    np.testing.assert_array_equal(np.load(folder / "seen.npy"), stored[kept])


def test_the_report_and_the_card_say_what_is_cut_away(folder: Path, report: dict[str, Any]) -> None:
    [line] = [line for line in report["data"]["warnings"] if "cuts away" in line]

    assert "image.fit = crop at image.size = [32, 96] cuts away " in line
    card = " ".join((folder / "exported" / "images" / "README.md").read_text().split())
    assert line in card
    assert "a height of 32 and a width of 96 (crop)" in card
    assert "`(batch, 32, 96, 3) uint8`" in card


def test_every_model_takes_rectangles_and_costs_what_they_cost(folder: Path, report: dict[str, Any]) -> None:
    bundle = folder / "exported" / "images"
    for model in report["models"]:
        [image] = onnxruntime.InferenceSession(bundle / model["file"]).get_inputs()
        assert (image.type, image.shape[1:]) == ("tensor(uint8)", [32, 96, 3])
    student = report["models"][-1]
    assert student["id"] == "student-int8"
    # widths 4, 8, 16, 32; one convolution in each of the first two blocks, two in the others
    assert student["macs"] == 9 * (
        32 * 96 * 3 * 4 + 16 * 48 * 4 * 8 + 8 * 24 * (8 * 16 + 16 * 16) + 4 * 12 * (16 * 32 + 32 * 32)
    ) + 32 * len(report["run"]["classes"])


def test_rectangles_are_verified_predicted_served_and_packaged(folder: Path, tmp_path: Path) -> None:
    bundle, picture = folder / "exported" / "images", folder / "images/red/1.png"
    assert any("golden images on CPUExecutionProvider" in line for line in verify(bundle))
    classifier = compress.load(bundle)
    assert classifier.input_shape == (32, 96, 3)
    [prediction] = classifier.predict(picture)

    with serving(str(bundle), cwd=folder) as server:
        model = "/v2/models/images"
        assert server.said[0].endswith("32x96x3 pixels to 2 labels")
        assert server.ask(model).json["inputs"][0]["shape"] == [-1, 32, 96, 3]
        assert server.ask(f"{model}/config").json["input"][0]["dims"] == [32, 96, 3]
        assert server.ask(f"{model}/classify", picture.read_bytes()).json["label"] == prediction.label
        pixels = classifier.pixels(picture)[np.newaxis]
        for as_binary in (False, True):
            answer = server.ask(f"{model}/infer", *request_of(pixels, as_binary))
            assert answer.status == 200
        lying = server.ask(f"{model}/infer", *request_of(pixels.reshape(1, 96, 32, 3), as_binary=False))
        assert (lying.status, "should be [1 to " in lying.json["error"]) == (400, True)
        assert ", 32, 96, 3]" in lying.json["error"]

    for layout, file, said in (
        ("triton", "images/config.pbtxt", "dims: [ 32, 96, 3 ]"),
        ("huggingface", "config.json", '"image_size": [\n    32,\n    96\n  ]'),
        ("mlflow", "MLmodel", "[-1, 32, 96, 3]"),
        ("docker", "bundle/manifest.json", '"shape": [\n      "batch",\n      32,\n      96,\n      3\n    ]'),
    ):
        assert said in (package(bundle, layout, tmp_path / layout) / file).read_text()


def test_the_bundles_program_names_a_class(folder: Path) -> None:
    command = [sys.executable, str(folder / "exported" / "images" / "classify.py"), str(folder / "images/red/1.png")]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout

    assert answer.strip().split("\t")[1] in ("red", "blue")


def test_the_bundles_program_says_what_it_cannot_read(folder: Path) -> None:
    command = [sys.executable, str(folder / "exported" / "images" / "classify.py"), "nowhere.png"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert answer.returncode == 1
    assert answer.stderr == "nowhere.png: No such file or directory\n"


def test_a_second_run_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(data: bytes) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr("compress.data.images.open_image", decode)
    monkeypatch.setattr("compress.data.samples.open_image", decode)

    assert run_main(monkeypatch, folder, "all", *ARGUMENTS) == 0


def test_the_data_command_draws_a_contact_sheet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--set", "image.size=[32, 96]", "--set", "recipe=none")
    assert run_main(monkeypatch, folder, "data", "images", "--skip-bad", *settings) == 0

    said = capsys.readouterr().out
    assert "99 images" in said
    assert "what the network sees: 96x32, RGB, crop" in said
    assert "image.fit = crop at image.size = [32, 96] cuts away " in said
    inspection = folder / ".compress" / "inspection" / "images"
    assert "<h1>images</h1>" in (inspection / "data.html").read_text("utf-8")
    sheet = Image.open(inspection / "contact-sheet.png")
    colours = sheet.resize((1, 1), box=(120, 36, sheet.width, 72)).getpixel((0, 0))
    assert isinstance(colours, tuple)
    assert colours[2] > colours[0]  # the first row is of blue images
