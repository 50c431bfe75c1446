"""What README.md, CONTRIBUTING.md and docs/ show: commands, settings, links, and examples of parts to add."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

import compress.data.sources
import compress.distillation.losses
import compress.packaging.formats
import compress.pruning.importance
import compress.quantization.calibrators
import compress.stages
import students
from compress import cli, config, pipeline, plugins, weight_files
from compress.arrays import load_arrays, save_arrays
from compress.artifacts import Network
from compress.commands import predict
from compress.commands.settings import load
from compress.context import Context
from compress.errors import BadInputError
from compress.packaging.package import FORMATS
from compress.packaging.source import Source
from compress.toml import to_toml
from compress.training.cluster import cluster_of
from tests import test_contracts
from tests.conftest import REPOSITORY, TINY, run_main
from tests.pruning import test_importance
from tests.quantization import test_calibrators

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
README_LINES = 120

# Commands of `python -m compress` that a test here runs in an empty folder, and why the others are only parsed: their
# options and settings are held against the real command line. "" is the help.
RUN = ("", "config", "plan", "clean")
PARSED = {
    "all": "trains for minutes; tests/test_whole_run.py runs it small",
    "data": "needs a folder of images; tests/test_folder_run.py runs it",
    "teacher": "trains for minutes",
    "prune": "trains for minutes",
    "quantize": "trains for minutes",
    "prune-student": "trains for minutes",
    "sensitivity": "trains for minutes; tests/test_whole_run.py runs it small",
    "distill": "trains for minutes",
    "quantize-student": "trains for minutes",
    "export": "trains for minutes",
    "bench": "measures for minutes; tests/latency runs it",
    "unbalanced": "trains for minutes",
    "report": "trains for minutes",
    "verify": "needs a bundle; tests/bundle runs it",
    "predict": "needs a bundle; tests/bundle runs it",
    "evaluate": "needs a bundle; tests/bundle runs it",
    "package": "needs a bundle; tests/packaging runs it",
    "compare": "needs bundles; tests/report runs it",
    "serve": "serves until it is stopped; tests/serve runs it",
    "check": "measures for seconds; tests/latency runs it",
    "inspect": "needs a model; tests/commands runs it",
}
# Other commands, by how they begin, and why no test runs them
NOT_RUN = {
    ("python", "-m", "venv"): ".ci/run makes an environment",
    ("python", "-m", "pytest"): "is the test suite",
    ("python", "benchmarks/"): "measures for minutes, with a bundle or data of its own",
    ("python", "-m", "benchmarks."): "measures for minutes, with a bundle or data of its own",
    ("pip", "install"): "needs a package index; .ci/run installs with the extra test",
    ("pip", "uninstall"): "would change the environment of the tests",
    ("pytest",): "measures for seconds; tests/latency runs the plug-in",
    ("ruff",): "is run by .ci/run",
    ("mypy",): "is run by .ci/run",
    ("lint-imports",): "is run by .ci/run",
    (".ci/run",): "runs the test suite",
    ("curl",): "needs a running server; tests/serve asks one in the same way",
    ("srun",): "needs Slurm",
    ("tensorboard",): "serves until it is stopped; tests/training/test_fit.py reads its event files",
    ("tritonserver",): "needs a Triton server",
    ("hf",): "needs the Hugging Face Hub",
    ("mlflow",): "needs MLflow, which is not among the test requirements",
    ("docker",): "needs a Docker engine",
    ("schemathesis",): "needs schemathesis and a running server",
}
LISTED = {("python", "-m", "compress"), *NOT_RUN}
PROGRAMS = {begin[0] for begin in LISTED}


def blocks(page: Path, language: str) -> list[str]:
    """Return the text of a page's fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands_of(page: Path) -> list[list[str]]:
    """Return every command that a page shows, as words: lines of shell and YAML, and inline code."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines()]
    for block in blocks(page, "yaml"):
        lines += re.findall(r"- run: (.*)", block)
        lines += [line.replace(",", "") for line in re.findall(r"command: \[(.*)\]", block)]
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    lines += [span for span in spans if span.split()[0] in PROGRAMS and (" " in span or span.startswith("."))]
    return [command for line in lines for command in split(line)]


def split(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, without redirections and without the folder of the environment."""
    for part in re.split(r" && ", line):
        words = shlex.split(re.sub(r" [<>] \S+| \|\| \[ .*", "", part), comments=True)
        words = [word.removeprefix(".venv/bin/") for word in words if not re.fullmatch(r"\[[A-Z]+\]", word)]
        if words:
            yield ["python" if word == "python3" else word for word in words]


def blocks_of_all(language: str) -> list[Any]:
    """Return pytest's parameters: each page's blocks in a language."""
    return [
        pytest.param(block, id=f"{page.name}-{i}") for page in PAGES for i, block in enumerate(blocks(page, language))
    ]


COMMANDS = {shlex.join(command): command for page in PAGES for command in commands_of(page)}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_run_or_listed_and_what_it_names_exists(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if command[0] == "export":
        name, _, value = command[1].partition("=")
        assert cluster_of("multi_worker", {name: value}) is not None
        return
    assert any(is_listed(command, begin) for begin in LISTED), f"{shlex.join(command)}: neither run nor listed"
    if "compress" in command:
        monkeypatch.chdir(data_folder(tmp_path))
        arguments = command[command.index("compress") + 1 :]
        (run if next(iter(arguments), "") in RUN else parse)(arguments, monkeypatch)
    else:
        check_words(command, request)


def is_listed(command: list[str], begin: tuple[str, ...]) -> bool:
    return shlex.join(command[: len(begin)]).startswith(shlex.join(begin))


def data_folder(folder: Path) -> Path:
    """Fill a folder with what the commands name, as far as settings look at it, and return it."""
    for name in ("path/to/images", "FOLDER", "shared/images"):
        (folder / name).mkdir(parents=True)
    (folder / "vgg16.h5").write_bytes(weight_files.SIGNATURE)
    (folder / "exported" / "NAME").mkdir(parents=True)
    weights = {"0000": np.zeros((2, 3), np.float32)}  # a head: no trunk, so all of a network
    save_arrays(folder / "exported" / "NAME" / "teacher.npz", weights)
    (folder / "mine.toml").write_text(to_toml(config.load()))
    return folder


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command in the current folder, at the size of tiny.toml."""
    small = ["--config", str(TINY)] if arguments[:1] in (["config"], ["plan"], ["clean"]) else []
    assert run_main(monkeypatch, Path.cwd(), *arguments, *small) == 0


def parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a command's options as the command line does, and load the settings that they state; run nothing."""
    name, *rest = (word.removeprefix("/") if word.startswith("/shared/") else word for word in arguments)
    assert name in PARSED, f"{name}: neither run nor listed"
    if name == "predict":
        predict._parser().parse_intermixed_args(rest)
        return
    group: Any = get_command(cli._app(""))
    context = group.make_context("compress", [name], resilient_parsing=True)
    command = group.get_command(context, name)
    assert command, f"there is no command {name}"
    values = command.make_context(name, [word.replace("SPEC", "digits") for word in rest], parent=context).params
    if "assignments" in values and not values.get("models"):
        data = values["data"] if "data" in values else values["spec"]
        load(values["config"], values["preset"], data, values["skip_bad"], values["budget"], values["assignments"])


def check_words(command: list[str], request: pytest.FixtureRequest) -> None:
    """Check what a command that is not run names: scripts and their options, extras, options of pytest, tests."""
    scripts = [REPOSITORY / word for word in command if word.startswith("benchmarks/")]
    scripts += [REPOSITORY / f"{w.replace('.', '/')}.py" for w in command if w.startswith("benchmarks.")]
    options = [word for word in command if word.startswith("--")]
    for script in scripts:
        assert script.is_file(), f"{script.name}: there is no such script"
        assert all(f'"{option}"' in script.read_text("utf-8") for option in options), f"{script.name}: {options}"
    if "pytest" in command:
        for option in options:
            request.config.getoption(option)  # raises ValueError for one that pytest does not know
        assert all((REPOSITORY / word).exists() for word in command if word.startswith("tests/"))
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = [extra for word in command for extra in re.findall(r"^\.\[(.*)\]$", word)]
    assert all(extra in extras for extra in named), f"{named}: is no extra"


def test_nothing_is_listed_that_no_page_shows() -> None:
    ours = [command[command.index("compress") + 1 :] for command in COMMANDS.values() if "compress" in command]

    assert {next(iter(arguments), "") for arguments in ours} == {*RUN, *PARSED}
    for begin in LISTED:
        assert any(is_listed(command, begin) for command in COMMANDS.values()), f"{begin}: is shown nowhere"


def test_the_readme_is_short_and_has_a_row_for_every_stage() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")

    assert len(text.splitlines()) <= README_LINES
    for stage in pipeline.PIPELINE:
        assert f"| `python -m compress {stage.name.replace('_', '-')}" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


PACKAGES = (  # that the examples in docs/extending.md belong to
    students,
    compress.distillation.losses,
    compress.data.sources,
    compress.pruning.importance,
    compress.quantization.calibrators,
    compress.packaging.formats,
    compress.stages,
)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Put each example into a file of its own, found as if it lay where it says; return its text by that path."""
    texts: dict[str, str] = {}
    for block in blocks(REPOSITORY / "docs" / "extending.md", "python"):
        first, _, text = block.partition("\n")
        texts[first.removeprefix("# ")] = text
    added = [(Path(path), package) for path in texts for package in PACKAGES if is_in(package, Path(path))]
    for file, package in added:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(texts[file.as_posix()], "utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str((tmp_path / file).parent)])
    importlib.invalidate_caches()
    yield texts
    for file, package in added:
        sys.modules.pop(f"{package.__name__}.{file.stem}", None)
        vars(package).pop(file.stem, None)


def is_in(package: ModuleType, file: Path) -> bool:
    return ".".join(file.parent.parts) == package.__name__


@pytest.mark.parametrize("block", blocks_of_all("toml"))
def test_the_settings_that_are_shown_load(
    block: str, examples: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_folder(tmp_path))
    (tmp_path / "shown.toml").write_text(block)

    assert config.load(tmp_path / "shown.toml") != config.load()


@pytest.mark.parametrize("block", blocks_of_all("python"))
def test_the_python_that_is_shown_compiles(block: str) -> None:
    compile(block, "shown", "exec")


def test_the_student_of_the_examples_keeps_the_contract(examples: dict[str, str], tmp_path: Path) -> None:
    test_contracts.test_an_architecture_has_the_weights_it_says_and_gives_one_logit_a_class("students", "strided")
    test_contracts.test_an_architecture_takes_colour_images_and_any_number_of_classes("students", "strided")
    test_contracts.test_an_architecture_is_saved_rebuilt_and_exported_to_onnx_with_the_same_logits(
        "students", "strided", tmp_path
    )


def test_the_criterion_of_the_examples_keeps_the_contract(examples: dict[str, str]) -> None:
    test_importance.test_a_criterion_tells_the_same_twice_and_what_is_worth_nothing("largest", batch_norm=True)


def test_the_calibrator_of_the_examples_keeps_the_contract(examples: dict[str, str]) -> None:
    test_calibrators.test_ranges_do_not_depend_on_how_images_are_batched("deviations")
    test_calibrators.test_an_activation_that_never_changes_is_the_end_of_its_range("deviations", 5)


def test_the_loss_of_the_examples_keeps_the_contract_and_has_values_worked_by_hand(examples: dict[str, str]) -> None:
    test_contracts.test_a_loss_is_one_value_an_image_least_where_the_student_agrees(
        "compress.distillation.losses", "matched_logits"
    )
    loss = importlib.import_module("compress.distillation.losses.matched_logits").loss
    student, teacher, labels = (np.array([row], np.float32) for row in ([0.0, 0.0], [2.0, 0.0], [1.0, 0.0]))

    # half the mean of 4 and 0 is 1; cross-entropy of two equal logits is log 2
    np.testing.assert_allclose(loss(student, teacher, labels, soft_weight=0.5), [0.5 + 0.5 * np.log(2)], rtol=1e-6)


def test_the_source_of_the_examples_keeps_the_contract_and_reads_images(
    examples: dict[str, str], tmp_path: Path
) -> None:
    test_contracts.test_a_source_claims_no_other_sources_data("compress.data.sources", "zipped")
    spec, memo = str(tmp_path / "photos.zip"), tmp_path / "digests.json"
    source = importlib.import_module("compress.data.sources.zipped")
    with pytest.raises(BadInputError, match=r"photos\.zip: cannot be read"):
        source.load(spec, "")
    with zipfile.ZipFile(spec, "w") as archive:
        for name, colour in {"all/red/1.png": "red", "all/blue/1.png": "blue", "all/red/2.png": "red"}.items():
            with archive.open(name, "w") as stream:
                Image.new("RGB", (4, 4), colour).save(stream, "png")

    samples = source.load(spec, "")

    assert config.load(assignments=[f"data.source={spec}"])
    assert samples.classes == ("blue", "red")
    assert samples.labels.tolist() == [1, 0, 1]
    assert samples.images.open(1)[0].getpixel((0, 0)) == (0, 0, 255)
    assert source.fingerprint(spec, memo) == hashlib.sha256(Path(spec).read_bytes()).hexdigest()


def test_the_package_format_of_the_examples_is_found_and_writes_its_files(
    examples: dict[str, str], tmp_path: Path
) -> None:
    for name in ("model.onnx", "labels.txt", "decoding.py", "preparation.py", "report.json"):
        (tmp_path / name).write_text(name)

    plugins.find(FORMATS, "minimal").write(Source(tmp_path, {}, ()), tmp_path / "out")

    written = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert written == ["decoding.py", "labels.txt", "model.onnx", "preparation.py"]


def test_the_stage_of_the_examples_takes_its_place_in_the_pipeline_and_runs(
    examples: dict[str, str], tmp_path: Path
) -> None:
    clip = importlib.import_module("compress.stages.clip")
    rows = eval(examples["compress/pipeline.py"], {**vars(pipeline), "clip": clip})
    changed = {row.name: row for row in rows}
    at = [row.name for row in pipeline.PIPELINE].index("prune_student") + 1
    kept = [changed.get(row.name, row) for row in pipeline.PIPELINE]
    save_arrays(tmp_path / "before.npz", {"0000": np.array([*[0.0] * 99, 100.0], np.float32)})
    network = Network("student", "distill", "students", "plain", {}, (32, 32, 1), 10, tmp_path / "before.npz")
    context = Context("clip", 0, 0, tmp_path, tmp_path, lambda *_: None, lambda _: None)

    linked = {row.name: row for row in pipeline.link((*kept[:at], changed["clip"], *kept[at:]))}
    made = clip.run(clip.Config(), network, tmp_path, context)

    assert linked["quantize_student"].inputs["network"] == ("clip",)
    assert linked["export"].inputs["networks"][-1] == "clip"
    assert (made.name, made.stage) == ("student-clipped", "clip")
    assert load_arrays(made.weights)["0000"].max() == pytest.approx(1 + 4 * 9.9499, rel=1e-4)


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 1), (3, 0), (70, 1)])
def test_the_job_of_the_workflow_fails_unless_the_check_passes_or_cannot_tell(
    code: int, ends: int, tmp_path: Path
) -> None:
    workflow = workflow_of_the_gate()
    [step] = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if step.get("run", "").startswith("python")]
    (tmp_path / "python").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "python").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(["bash", "-e", "-c", step], env={"PATH": path}, check=False)

    assert done.returncode == ends


def test_the_workflow_names_where_the_package_is_once_and_keeps_the_reports_of_a_failed_job() -> None:
    workflow = workflow_of_the_gate()
    steps = workflow["jobs"]["gate"]["steps"]

    assert re.fullmatch(r"git\+https://github\.com/[^/]+/compress", workflow["env"]["COMPRESS"])
    assert [step["run"] for step in steps if step.get("run", "").startswith("pip")] == ['pip install "$COMPRESS"']
    assert steps[0]["with"] == {"lfs": True}
    assert steps[-1]["uses"].startswith("actions/upload-artifact@")
    assert steps[-1]["if"] == "always()"


def workflow_of_the_gate() -> dict[str, Any]:
    [block] = blocks(REPOSITORY / "docs" / "latency.md", "yaml")
    return pytest.importorskip("yaml").safe_load(block)
