from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from benchmarks.small_models import write_identity, write_model
from compress.arrays import save_arrays
from compress.latency.gate import check as gate
from compress.latency.gate.pairs import Request, Samples
from tests.commands.conftest import Refused
from tests.conftest import run_main

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"


@pytest.fixture
def folder(folder: Path) -> Path:
    write_model(folder / "slower.onnx", layers=3)
    write_model(folder / "renamed.onnx", name="picture")
    write_identity(folder / "indices.onnx", TensorProto.INT64, ["batch", 3])
    (folder / "pointer.onnx").write_bytes(POINTER)
    (folder / "pointer.npz").write_bytes(POINTER)
    model = onnx.load(write_model(folder / "lost.onnx"))
    onnx.save(model, folder / "lost.onnx", save_as_external_data=True, location="lost.bin", size_threshold=0)
    (folder / "lost.bin").unlink()
    (folder / "baselines").mkdir()
    (folder / "baselines" / "baselines.json").write_text("{}")
    return folder


def measured_as(monkeypatch: pytest.MonkeyPatch, ratio: float, noise: float = 0.001) -> None:
    """Let new processes answer at once: the candidate takes `ratio` times the baseline's time."""
    random = np.random.default_rng(0)

    def measure_in_new_process(request: Request, seconds: float) -> Samples:
        def samples(arm: str) -> list[list[int]]:
            times = random.lognormal(0, noise, (request.blocks, 5)) * (ratio if arm == "candidate" else 1.0)
            return (times * 1e6).astype(int).tolist()

        blocks = {arm: samples(arm) for arm in request.files}
        return Samples(1, blocks, [2_000_000] * request.single_calls, dict.fromkeys(request.files, 1), [0])

    monkeypatch.setattr(gate, "measure_in_new_process", measure_in_new_process)


@pytest.mark.parametrize(
    ("ratio", "options", "code", "outcome"),
    [
        (1.0, [], 0, "pass"),
        (1.08, [], 1, "regression"),
        (1.08, ["--margin", "0.2"], 0, "pass"),
        (65.0, [], 1, "regression"),
        (1.0, ["--max-p90-ms", "1"], 1, "pass"),
        (1.0, ["--max-p90-ms", "3"], 0, "pass"),
        (1.0, ["--also", "size"], 0, "pass"),
    ],
)
def test_the_last_line_and_the_exit_code_say_the_verdict(
    ratio: float,
    options: list[str],
    code: int,
    outcome: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured_as(monkeypatch, ratio)

    found = run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "model.onnx", *options)

    last = capsys.readouterr().out.splitlines()[-1]
    assert found == code
    assert float(last.split()[1].removesuffix("x")) == pytest.approx(ratio, rel=0.005)
    assert last.endswith(f": {outcome}")


def test_what_is_slower_than_the_noise_of_the_machine_is_a_regression(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured_as(monkeypatch, 4.0, noise=0.8)

    assert run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "model.onnx") == 1
    assert "a copy of the baseline takes" in capsys.readouterr().out


def test_a_machine_that_is_too_noisy_is_inconclusive(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured_as(monkeypatch, 1.0, noise=0.8)

    assert run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "model.onnx") == 3
    assert "too noisy" in capsys.readouterr().out


def test_memory_and_first_run_are_within_the_budget(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured_as(monkeypatch, 1.0)
    seconds = []

    def run_in_new_process(module: str, request: object, limit: float) -> None:
        seconds.append(limit)

    monkeypatch.setattr("compress.latency.cold_start.run_in_new_process", run_in_new_process)
    also = ["--also", "memory", "--also", "first-run", "--budget", "8s", "--json", "c.json", "--junit", "c.xml"]

    assert run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "slower.onnx", *also) == 3
    assert "model memory: not measured before the budget ended: inconclusive" in capsys.readouterr().out
    assert len(seconds) == 1
    assert 0 < seconds[0] <= 2


@pytest.mark.measures_time
def test_the_real_thing_measures_two_files_and_writes_reports(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", "check.json", "--junit", "check.xml"]

    code = run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "slower.onnx", *files, "--margin", "0.5")

    assert code == 0, capsys.readouterr()
    report = json.loads((folder / "check.json").read_bytes())
    assert report["models"][0]["outcome"] == "pass"
    assert len(report["models"][0]["first"]) == 2
    [case] = ElementTree.parse(folder / "check.xml").iter("testcase")
    properties = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert float(properties["ratio"] or 0) == pytest.approx(report["models"][0]["ratio"], rel=1e-4)


def test_a_folder_of_baselines_is_made_by_update_and_found_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_as(monkeypatch, 1.0)
    to = ["--baseline", "baselines"]

    assert run_main(monkeypatch, folder, "check", "model.onnx", "slower.onnx", *to, "--update") == 0
    assert run_main(monkeypatch, folder, "check", "model.onnx", "slower.onnx", *to) == 0
    assert len(list((folder / "baselines").glob("*.onnx"))) == 2
    write_model(folder / "model.onnx", layers=2)
    assert run_main(monkeypatch, folder, "check", "model.onnx", *to, "--update") == 0
    assert len(list((folder / "baselines").glob("*.onnx"))) == 2, "what is nobody's any more is gone"


@pytest.mark.parametrize(("layers", "code"), [(1, 0), (2, 1)])
def test_accuracy_is_of_the_golden_set(layers: int, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(monkeypatch, 1.0)
    (folder / "bundle").mkdir()
    write_model(folder / "bundle" / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8)
    session = onnxruntime.InferenceSession((folder / "bundle" / "model.onnx").read_bytes())
    logits = session.run(None, {"image": images})[0]
    save_arrays(folder / "bundle" / "golden.npz", {"images": images, "logits": logits})
    candidate = write_model(folder / "candidate.onnx", layers=layers)

    options = ["--baseline", "bundle", "--also", "accuracy"]
    assert run_main(monkeypatch, folder, "check", str(candidate), *options) == code


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "no logits", "logits of another shape", "a huge header", "a pointer"]
)
def test_a_golden_set_that_is_damaged_is_refused_in_one_line(
    damage: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = folder / "bundle" / "golden.npz"
    golden.parent.mkdir()
    write_model(golden.parent / "model.onnx")
    images = np.zeros((4, 8, 8, 1), np.uint8)
    logits = {"no logits": {}, "logits of another shape": {"logits": np.zeros(3)}}.get(
        damage, {"logits": images[:, 0, 0]}
    )
    save_arrays(golden, {"images": images, **logits})
    whole = golden.read_bytes()
    huge = whole.replace(b"(4, 8, 8, 1)", b"(4, 8,99999)")
    cut = {"empty": b"", "truncated": whole[:-40], "a huge header": huge, "a pointer": POINTER}
    golden.write_bytes(cut.get(damage, whole))

    code = run_main(monkeypatch, folder, "check", "model.onnx", "--baseline", "bundle", "--also", "accuracy")

    said = capsys.readouterr().err
    assert (code, len(said.splitlines())) == (2, 1), said
    assert f"bundle{os.sep}golden.npz: " in said
    assert ("is a Git LFS pointer, not the file itself" in said) == (damage == "a pointer")


def test_accuracy_is_never_by_the_golden_set_of_the_candidate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model").mkdir()
    write_model(folder / "model" / "model.onnx")
    (folder / "model" / "golden.npz").write_bytes(b"")
    run_main(monkeypatch, folder, "check", "model", "--baseline", "baselines", "--update")

    assert run_main(monkeypatch, folder, "check", "model", "--baseline", "baselines", "--also", "accuracy") == 2
    assert "needs --baseline to be a bundle with golden.npz" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_takes_no_verdict_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured_as(monkeypatch, 1.0)
    options = ["--baseline", "model.onnx", "--json", "none/x.json"]

    assert run_main(monkeypatch, folder, "check", "model.onnx", *options) == 2
    assert capsys.readouterr().out.endswith(": pass\n")


def test_what_a_file_leaves_open_is_given_by_options_fed_to_both_printed_and_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "BLOCKS", 3)
    options = ["--baseline", "free.onnx", "--margin", "5", "--shape", "x=2x3x9x7", "--json", "check.json"]

    code = run_main(monkeypatch, folder, "check", "free.onnx", *options)

    said = capsys.readouterr()
    assert code in (0, 3), said
    assert "free: fed x 2x3x9x7\n" in said.out
    report = json.loads((folder / "check.json").read_bytes())
    assert report["models"][0]["first"][0]["fed"] == {"x": [2, 3, 9, 7]}


def test_help_says_what_the_exit_codes_mean_and_what_options_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert run_main(monkeypatch, folder, "check", "--help") == 0

    text = " ".join(capsys.readouterr().out.replace("\u2502", " ").split())
    for said in (
        "[OPTIONS] {CANDIDATE}...",
        "Exit code 0: it is slower by less than twice the margin",
        "1: it is slower by more than the margin",
        "3: neither can be shown",
        "--margin FRACTION Slowdown allowed, as a fraction: 0.05 is 5 %.",
        "and accuracy, on the golden images of --baseline, which then has to be a bundle.",
    ):
        assert said in text


BAD: list[tuple[str, list[str], str]] = [
    ("no such candidate", ["none.onnx"], "none.onnx: no such file"),
    ("no such baseline", ["model.onnx", "--baseline", "none.onnx"], "none.onnx: no such file"),
    ("folder that is no bundle", ["model.onnx", "--baseline", "empty"], "holds neither"),
    ("baseline that is not in the folder", ["model.onnx", "--baseline", "baselines"], "has no model"),
    ("other inputs", ["renamed.onnx"], "input image is absent"),
    ("model that fails", ["failing.onnx", "--baseline", "failing.onnx"], "fails to run on image (1, 8, 8, 1)"),
    ("file that is no model", ["text.onnx"], "text.onnx: not an ONNX model"),
    ("pointer of Git LFS", ["pointer.onnx"], "pointer.onnx: is a Git LFS pointer, not the file itself"),
    ("update with a pointer", ["pointer.onnx", "--update", "--baseline", "kept"], "pointer.onnx: is a Git LFS pointer"),
    ("update with a text", ["text.onnx", "--update", "--baseline", "kept"], "text.onnx: is not an ONNX model"),
    ("no external data", ["lost.onnx"], "lost.onnx: the data of 'k0' is at lost.bin: No such file"),
    ("update with no external data", ["lost.onnx", "--update", "--baseline", "kept"], "is at lost.bin: No such file"),
    ("margin of nothing", ["model.onnx", "--margin", "0"], "--margin 0: should be above 0"),
    ("margin below nothing", ["model.onnx", "--margin", "-1"], "--margin -1: should be above 0"),
    ("budget that is no time", ["model.onnx", "--budget", "soon"], "--budget soon: should be a time"),
    ("no threads", ["model.onnx", "--threads", "0"], "--threads 0: should be 1 to"),
    ("unknown provider", ["model.onnx", "--provider", "abacus"], "--provider abacus: should be one of"),
    ("unknown limit", ["model.onnx", "--also", "beauty"], "--also beauty: should be one of size"),
    (
        "accuracy without a bundle",
        ["model.onnx", "--also", "accuracy"],
        "needs --baseline to be a bundle with golden.npz",
    ),
    ("free height", ["free.onnx", "--baseline", "free.onnx"], "such as --shape x=1x3x224x224, or by --inputs FILE.npz"),
    ("integers", ["indices.onnx", "--baseline", "indices.onnx"], "given by --inputs FILE.npz, with an array x"),
    ("shape of no input", ["model.onnx", "--shape", "a=1"], "--shape: no input is named a; should be of image"),
    ("inputs not fetched", ["model.onnx", "--inputs", "pointer.npz"], "--inputs pointer.npz: is a Git LFS pointer"),
    ("shape that does not fit", ["model.onnx", "--shape", "image=1x9x8x1"], "but (1, 9, 8, 1) is given"),
    ("two of one name", ["model.onnx", "./model.onnx"], "two models have this name"),
    ("update of a file", ["model.onnx", "--update"], "should be a folder of baselines"),
    ("report that cannot be written", ["model.onnx", "--json", "none/x.json"], "--json none/x.json: cannot be written"),
]


@pytest.mark.parametrize(("arguments", "expected"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gives_one_line_and_exit_code_2(
    arguments: list[str], expected: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--json" in arguments:
        measured_as(monkeypatch, 1.0)
    given = arguments if "--baseline" in arguments else [*arguments, "--baseline", "model.onnx"]

    assert expected in refused("check", *given)


def test_a_provider_that_is_absent_is_one_line_and_exit_code_4(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["check", "model.onnx", "--baseline", "model.onnx", "--provider", "cuda"]

    code = run_main(monkeypatch, folder, *arguments)

    said = capsys.readouterr()
    assert (code, said.out) == (4, "")
    assert "has no CUDAExecutionProvider" in said.err
