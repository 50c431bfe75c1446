from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import compress
from compress.arrays import load_arrays
from compress.errors import BadInputError
from tests.conftest import REPOSITORY, Run, run_compress, run_main


@pytest.fixture
def picture(tiny_run: Run, tmp_path: Path) -> Path:
    pixels = load_arrays(tiny_run.bundle / "golden.npz")["images"][0]
    Image.fromarray(pixels[..., 0]).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_every_form_of_an_image_gives_the_golden_answer(tiny_run: Run, picture: Path) -> None:
    golden = load_arrays(tiny_run.bundle / "golden.npz")
    classifier = compress.load(tiny_run.bundle)

    forms: list[Any] = [picture, str(picture), picture.read_bytes(), Image.open(picture), golden["images"][0]]
    answers = classifier.predict(forms, top=3)

    assert {answer.label for answer in answers} == {classifier.labels[golden["logits"][0].argmax()]}
    assert len({answer.top for answer in answers}) == 1
    assert len(answers[0].top) == 3
    assert answers[0].top[0] == (answers[0].label, answers[0].probability)
    assert classifier.predict(picture)[0].label == answers[0].label


def test_a_pillow_image_is_rotated_like_its_file(tiny_run: Run, tmp_path: Path) -> None:
    classifier = compress.load(tiny_run.bundle)
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera on its side
    Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)).save(tmp_path / "side.png", exif=exif)

    with Image.open(tmp_path / "side.png") as image:
        for _ in range(2):  # the image handed over is not rotated itself
            assert np.array_equal(classifier.pixels(image), classifier.pixels(tmp_path / "side.png"))


def test_more_images_than_a_batch_come_back_in_order(tiny_run: Run) -> None:
    golden = load_arrays(tiny_run.bundle / "golden.npz")
    images = [golden["images"][i % 16] for i in range(70)]

    answers = compress.load(tiny_run.bundle).predict(images)

    expected = golden["logits"].argmax(axis=1)
    assert [int(answer.label) for answer in answers] == [expected[i % 16] for i in range(70)]


UNUSABLE = [
    b"hello",
    "none.png",
    np.zeros((4, 4), np.float32),
    np.zeros((4, 4, 2), np.uint8),
    np.zeros((0, 4), np.uint8),
    np.zeros((4, 0, 3), np.uint8),
    Image.new("I", (4, 4)),
    Image.new("F", (4, 4)),
    Image.new("L", (0, 4)),
    Image.new("1", (10_000, 5_001)),
]


@pytest.mark.parametrize("image", UNUSABLE)
def test_what_is_no_image_is_an_error(image: Any, tiny_run: Run) -> None:
    with pytest.raises(BadInputError):
        compress.load(tiny_run.bundle).predict([image])


IMAGE = {"fit": "crop", "channels": 1, "background": [0, 0, 0]}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no preparation": ({"image": None}, "image = None"),
    "size that is text": ({"image": {"size": "32"}}, "image = "),
    "three sides": ({"image": {**IMAGE, "size": [32, 32, 1]}}, "image = "),
    "a side of nothing": ({"image": {**IMAGE, "size": [32, 0]}}, "image = "),
    "a side that is no whole number": ({"image": {**IMAGE, "size": [32, 32.0]}}, "image = "),
    "height and width of another model": (
        {"image": {**IMAGE, "size": [32, 96]}},
        "should have image tensor(uint8) [32, 96, 1]",
    ),
    "size of another model": (
        {"image": {**IMAGE, "size": 16}},
        "should have image tensor(uint8) [16, 16, 1]",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_manifest_that_does_not_fit_is_refused(name: str, bundle: Path) -> None:
    values, expected = BAD[name]
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, **values}))

    with pytest.raises(BadInputError) as error:
        compress.load(bundle)
    assert expected in str(error.value)


def test_a_model_that_loads_and_fails_to_run_is_an_error(tiny_run: Run, picture: Path) -> None:
    class Failing:
        def run(self, *_: object) -> None:
            raise RuntimeError("Reshape: cannot be\nin two lines")

    classifier = dataclasses.replace(compress.load(tiny_run.bundle), session=Failing())

    with pytest.raises(BadInputError, match=r"^digits: fails to run: Reshape: cannot be$"):
        classifier.predict(picture)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_probabilities_that_are_not_finite_are_an_error(value: float, tiny_run: Run, picture: Path) -> None:
    class Session:
        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            probabilities = np.zeros((1, 10), np.float32)
            probabilities[0, 3] = value
            return [np.zeros((1, 10), np.float32), probabilities]

    broken = dataclasses.replace(compress.load(tiny_run.bundle), session=Session())

    with pytest.raises(BadInputError, match="digits: its probabilities are not finite"):
        broken.predict(picture)
    with pytest.raises(BadInputError, match="digits: its probabilities are not finite"):
        broken.prediction(np.full(10, value, np.float32))


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(BadInputError, match="should be a bundle"):
        compress.load(tmp_path / "loop")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="should be a bundle, such as exported/NAME"):
        compress.load(tmp_path)


def test_predict_prints_a_line_an_image_and_goes_on_after_a_bad_one(
    tiny_run: Run, picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = picture.parent
    (folder / "bad.png").write_text("no image")
    for name in (".hidden", "desktop.ini", "one.png:Zone.Identifier", "@eaDir/one.png", "one.xmp"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no image")

    code = run_main(monkeypatch, folder, "predict", str(tiny_run.bundle), ".", "--top", "2")
    said = capsys.readouterr()

    assert code == 2
    assert said.err.splitlines() == [
        "error: bad.png: is not one of JPEG, PNG, BMP, WEBP, GIF, TIFF",
        "1 file is no image and left out: 1 .xmp",
    ]
    [line] = said.out.splitlines()
    assert line.split("\t")[0] == "one.png"
    assert len(line.split("\t")) == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--top", "0", "a.png"], "--top: '0': should be a whole number, 1 or more"),
        (["--top", "two", "a.png"], "--top: 'two': should be a whole number, 1 or more"),
        (["--jsn", "a.png"], "--jsn"),
        ([], "IMAGE"),
    ],
)
def test_predict_names_a_wrong_argument_in_one_line(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = run_main(monkeypatch, tmp_path, "predict", "bundle", *arguments)

    message = capsys.readouterr().err
    assert code == 2
    assert message.startswith("error: ")
    assert expected in message
    assert message.count("\n") == 1


def test_predict_loads_nothing_that_the_label_does_not_need(tiny_run: Run, picture: Path) -> None:
    code = (
        "import sys; from compress import cli; sys.argv = ['compress', 'predict', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print({'tensorflow', 'onnx', 'pydantic', 'typer', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    result = run_compress(picture.parent, str(tiny_run.bundle), str(picture), python=("-c", code))

    assert result.returncode == 0
    assert result.stderr.splitlines() == ["set()"]


def test_onnxruntime_is_told_not_to_report_its_use() -> None:
    code = "import os, compress; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment["PYTHONPATH"] = str(REPOSITORY)

    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert said.stdout == "1\n"


def test_predict_takes_options_between_images_and_names_that_are_no_unicode(tiny_run: Run, picture: Path) -> None:
    odd = os.fsencode(picture.parent) + b"/\xff.png"
    try:
        shutil.copy(os.fsencode(picture), odd)
    except OSError:
        pytest.skip("this file system takes no such names")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "compress", "predict", str(tiny_run.bundle), odd, "--json", "--top", "2", picture],
        capture_output=True,
        check=True,
        env=environment,
    )

    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [os.fsencode(answer["image"]) for answer in answers] == [odd, os.fsencode(picture)]
    assert len(answers[1]["top"]) == 2


def test_predict_reads_standard_input_and_prints_json(tiny_run: Run, picture: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "compress", "predict", str(tiny_run.bundle), "-", "--json"],
        input=picture.read_bytes(),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )

    said = json.loads(result.stdout)
    assert said["image"] == "-"
    assert said["top"] == [{"label": said["label"], "probability": said["probability"]}]


def test_the_lines_in_the_documentation_classify_images(
    tiny_run: Run, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "bundle.md").read_text("utf-8"), re.DOTALL)
    for shown, real in {"exported/NAME": tiny_run.bundle, "a.jpg": picture, "b.png": picture}.items():
        lines = lines.replace(shown, real.as_posix())

    exec(lines, {})

    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first[0] in "0123456789"


def test_the_lines_in_a_bundles_readme_give_the_golden_logits_without_this_project(tiny_run: Run) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", (tiny_run.bundle / "README.md").read_text("utf-8"), re.DOTALL)
    check = (
        "import sys\n"
        "assert logits.tobytes() == golden['logits'].tobytes()\n"
        "assert not {'compress', 'tensorflow', 'onnx'} & sys.modules.keys()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    said = subprocess.check_output(
        [sys.executable, "-c", lines + check], cwd=tiny_run.bundle, env=environment, text=True
    )

    assert said.startswith("0.0 should be at most ")
