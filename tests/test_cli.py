from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from compress import cli
from compress.errors import BadInputError
from tests.conftest import REPOSITORY, TINY, Run, run_compress, run_main

NONE = ("--set", "recipe=none")  # which would try images
BAD_INPUT = [
    ("unknown command", ["trian"], "trian"),
    ("unknown option", ["all", "--fast"], "--fast"),
    ("unknown data", ["all", "--set", "data.source=digit"], "did you mean digits?"),
    ("unknown preset", ["all", "--preset", "digitz"], "did you mean digits?"),
    ("unknown section", ["all", "--set", "prun.sparsity=0.5"], "prun"),
    ("unknown key", ["all", "--set", "prune.sparsty=0.5"], "did you mean prune.sparsity?"),
    ("unknown teacher", ["all", "--set", "teacher.architecture=vgg17"], "did you mean vgg16?"),
    ("unknown student", ["all", "--set", "distill.student=plane"], "did you mean plain?"),
    ("unknown loss", ["all", "--set", "distill.loss=hintn"], "did you mean hinton?"),
    ("unknown option of a teacher", ["all", "--set", "teacher.architecture.options.widht=1"], "did you mean width?"),
    (
        "option of a teacher out of bounds",
        ["all", "--set", "teacher.architecture.options.width=9"],
        "less than or equal to 4",
    ),
    ("option of a loss out of bounds", ["all", "--set", "distill.loss.options.temperature=0"], "temperature"),
    (
        "option of a teacher of another type",
        ["all", "--set", "teacher.architecture.options.batch_norm=no"],
        "teacher.architecture.options.batch_norm = 'no': should be a valid boolean",
    ),
    (
        "option of data",
        ["all", "--set", "data.source.options.x=1"],
        "options.x = 1: there is no such option; this plug-in has no options",
    ),
    ("a number for a choice", ["all", "--set", "distill.loss=3"], "should be a name, or a section with name and"),
    ("the teacher's former key", ["all", "--set", "teacher.name=vgg11"], "teacher.name is teacher.architecture now"),
    (
        "a student's options under their former key",
        ["all", "--set", "distill.options.width=16"],
        "--set distill.options.width=16: distill.options is distill.student.options now",
    ),
    ("wrong type", ["all", "--set", "prune.epochs=many"], "prune.epochs = 'many': should be a valid integer"),
    ("out of bounds", ["all", "--set", "prune.sparsity=1.5"], "prune.sparsity = 1.5: should be less than 1"),
    ("unknown recipe", ["all", "--set", "recipe=best"], "recipe = 'best': should be 'auto' or 'none'"),
    (
        "a budget without a unit",
        ["all", "--budget", "30"],
        "--budget 30: budget = '30': should be a time above 0 with its",
    ),
    ("a budget that is a number", ["all", "--set", "budget=30"], "budget = 30: should be a time above 0 with its unit"),
    ("a negative budget", ["plan", "--budget=-5m"], "budget = '-5m': should be a time above 0"),
    ("a budget of nothing", ["all", "--budget", "0m"], "budget = '0m': should be a time above 0"),
    ("a budget in unknown units", ["all", "--budget", "2d"], "such as 90s, 30m, 2h or 1h30m"),
    (
        "a budget without a recipe",
        ["all", "--budget", "30m", "--set", "recipe=none"],
        "--budget 30m: budget = '30m': should be empty with recipe = 'none'",
    ),
    ("negative seed", ["all", "--set", "seed=-1"], "seed = -1"),
    ("a value where a section is", ["all", "--set", "teacher=3"], "teacher = 3: should be a section"),
    ("unknown fit", ["all", "--set", "image.fit=squash"], "image.fit = 'squash': should be 'crop', 'pad' or 'stretch'"),
    ("background that is no byte", ["all", "--set", "image.background=[0, 0, 256]"], "image.background.2 = 256"),
    ("background of two values", ["all", "--set", "image.background=[0, 0]"], "image.background"),
    ("unknown balance", ["all", "--set", "balance.method=over"], "balance.method = 'over'"),
    ("flip that is none", ["all", "--set", "teacher.augmentation.flip=left"], "teacher.augmentation.flip = 'left'"),
    ("shift in pixels", ["all", "--set", "teacher.augmentation.shift=3"], "should be less than 1"),
    ("mixing in distill", ["all", "--set", "distill.mixing.mixup=0.2"], "there is no key distill.mixing"),
    ("no such data", ["all", "--data", "digitz"], "--data digitz: data.source = 'digitz': there is no such file"),
    ("data without a name", ["all", "--data", ""], "data.source = ''"),
    ("data of a name too long", ["all", "--data", "x" * 300], "cannot be accessed: File name too long"),
    ("no such npz", ["all", "--data", "none.npz"], "none.npz"),
    ("tfds without a name", ["all", "--data", "tfds:"], "tfds:"),
    ("groups in digits", ["data", "--set", "data.group=x"], "data.group = 'x'"),
    ("nothing left to train on", ["all", "--set", "data.test=0.9"], "validation + test"),
    ("batch 1 not measured", ["all", "--set", "bench.batches=[2]"], "bench.batches"),
    ("bundle name with a path", ["all", "--set", "deploy.name=../x"], "deploy.name = '../x'"),
    ("--set without =", ["all", "--set", "prune.sparsity"], "takes key.path=value"),
    ("--set without a key", ["all", "--set", "=3"], "takes key.path=value"),
    ("--set with an empty part", ["all", "--set", "prune..x=3"], "takes key.path=value"),
    ("no such config file", ["all", "--config", "none.toml"], "none.toml: No such file"),
    ("config is a folder", ["all", "--config", "."], "takes a readable TOML file"),
    ("config is no TOML", ["all", "--config", "broken.toml"], "broken.toml: not TOML"),
    ("config is no text", ["all", "--config", "binary.toml"], "binary.toml: not TOML"),
    ("workspace below a file", ["all", "--set", "workspace=broken.toml/x"], "cannot be written"),
    ("exported below a file", ["all", "--set", "exported=broken.toml/x"], "cannot be written"),
    ("workspace that is empty", ["all", "--set", "workspace="], "workspace"),
    ("bundle name that is taken", ["all", "--set", "deploy.name=taken"], "is not a bundle"),
    (
        "images too small for the teacher, in plan",
        ["plan", "--set", "image.size=16", *NONE],
        "image.size should be 32 or more",
    ),
    (
        "images too small for the teacher",
        ["teacher", "--set", "image.size=16", *NONE],
        "image.size should be 32 or more",
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), [row[1:] for row in BAD_INPUT], ids=[row[0] for row in BAD_INPUT])
def test_bad_input_gives_one_line_and_exit_code_2(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "broken.toml").write_text("[prune\n")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "exported" / "taken").mkdir(parents=True)

    code = run_main(monkeypatch, tmp_path, *arguments)

    message = capsys.readouterr().err
    assert code == 2
    assert expected in message
    assert message.startswith("error: ")
    assert message.count("\n") == 1


def test_the_home_folder_is_meant_by_a_tilde_behind_an_option_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell expands it after a space, but not in `--config=~/run.toml`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home" / "images").mkdir(parents=True)
    (tmp_path / "home" / "run.toml").write_text("seed = 7\n")

    arguments = ["--config=~/run.toml", "--data=~/images", "--set=deploy.name=x", "--set=recipe=none"]
    assert run_main(monkeypatch, tmp_path, "config", *arguments) == 0

    printed = capsys.readouterr().out
    assert "seed = 7\n" in printed
    assert f'source = "{tmp_path}/home/images"\n' in printed
    assert [cli._below_home(word) for word in ("--out=~", "--set=a=~/b", "~/c", "--out=~d/e")] == [
        f"--out={tmp_path}/home",
        "--set=a=~/b",
        "~/c",
        "--out=~d/e",
    ]


def test_help_names_every_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path) == 0

    text = capsys.readouterr().out
    for stage in (
        "all",
        "teacher",
        "prune",
        "quantize",
        "distill",
        "export",
        "bench",
        "report",
        "plan",
        "clean",
    ):
        assert f" {stage} " in text


def test_a_full_disk_gives_exit_code_4_and_a_rerun_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as full:

        def fsync(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr("os.fsync", fsync)
        assert run_main(full, tmp_path, "data", *NONE) == 4
    assert "the disk is full" in capsys.readouterr().err

    assert run_main(monkeypatch, tmp_path, "data", *NONE) == 0


def test_an_error_that_is_not_known_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr("compress.config.load", load)

    assert run_main(monkeypatch, tmp_path, "config") == 70
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("OSError: [Errno 5] broken disk\n")


def test_a_second_run_in_the_same_workspace_gives_exit_code_5_and_names_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    from compress.runner import locked

    with locked(tmp_path / ".compress"):
        result = run_compress(tmp_path, "data", *NONE)

    assert result.returncode == 5
    assert f"process {os.getpid()}" in result.stderr
    assert run_main(monkeypatch, tmp_path, "data", *NONE) == 0


def test_a_second_run_is_all_hits_and_does_not_import_tensorflow(tiny_run: Run) -> None:
    code = (
        "import sys; from compress import cli; sys.argv = ['compress', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print('tensorflow' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)"
    )
    result = run_compress(tiny_run.folder, "all", "--config", str(TINY), python=("-c", code))

    assert result.returncode == 0
    assert "11 stages, 11 of them finished before" in result.stdout
    assert result.stderr.splitlines()[-1] == "False False"


def test_help_and_config_do_not_import_tensorflow(tmp_path: Path) -> None:
    heavy = {"tensorflow", "tf_keras", "onnxruntime"}
    for command, unused in (("--help", {*heavy, "numpy", "sklearn"}), ("config", heavy)):  # config reads the data
        code = f"import sys; from compress import cli; sys.argv = ['compress', '{command}']\ntry: cli.main()\n"
        code += f"finally: print({unused} & set(sys.modules), file=sys.stderr)"
        result = run_compress(tmp_path, python=("-c", code))

        assert result.returncode == 0
        assert result.stderr.splitlines()[-1] == "set()"


def test_plan_says_what_would_run_again_and_why(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["plan", "--config", str(TINY), "--set", "prune.sparsity=0.9"]

    assert run_main(monkeypatch, tiny_run.folder, *arguments) == 0

    lines = capsys.readouterr().out.splitlines()
    rows = {words[0]: words for words in map(str.split, lines) if words[1:2] in (["hit"], ["miss"])}
    assert [name for name, words in rows.items() if words[1] == "hit"] == ["data", "teacher", "unbalanced"]
    assert "sparsity 0.8 -> 0.9" in " ".join(rows["prune"])
    assert "input quantize" in " ".join(rows["distill"])
    assert "0.146" in rows["prune"]  # the weights of the teacher at width 0.125


def test_clean_keeps_what_the_settings_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("32", "16"):
        run_main(monkeypatch, tmp_path, "data", "--set", f"image.size={size}", *NONE)
    folder = tmp_path / ".compress" / "store" / "data"
    assert len(list(folder.iterdir())) == 2

    run_main(monkeypatch, tmp_path, "clean", "--set", "image.size=16", "--set", "train.precision=float32", *NONE)

    [kept] = folder.iterdir()
    assert json.loads((kept / "manifest.json").read_bytes())["artifact"]["image_shape"] == [16, 16, 1]


def test_clean_all_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_main(monkeypatch, tmp_path, "data", *NONE)
    store = tmp_path / ".compress" / "store"
    assert list(store.glob("*/*"))

    run_main(monkeypatch, tmp_path, "clean", "--all")

    assert not list(store.glob("*/*"))


def test_clean_leaves_what_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work/notes.txt", "store/mine/file.txt", "store/mine/folder/file.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")

    assert run_main(monkeypatch, tmp_path, "clean", "--all", "--set", "workspace=./") == 0

    assert len([path for path in tmp_path.rglob("*.txt") if path.read_text() == "mine"]) == 3


@pytest.mark.parametrize(("raised", "code"), [(RuntimeError("odd"), 70), (BadInputError("bad"), 2)])
def test_a_crash_shows_its_traceback_and_is_never_exit_code_1(
    raised: Exception, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: list[str]) -> int:
        raise raised

    monkeypatch.setattr(cli, "_run", run)

    assert run_main(monkeypatch, tmp_path, "check", "--debug") == code
    assert "Traceback" in capsys.readouterr().err


def test_a_broken_pipe_that_is_not_the_outputs_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "a worker is gone")

    monkeypatch.setattr("compress.config.load", load)

    assert run_main(monkeypatch, tmp_path, "config") == cli.CRASHED
    assert "a worker is gone" in capsys.readouterr().err


DAMAGED = "import sys, runpy; sys.modules['compress.streams'] = None; "


@pytest.mark.parametrize(
    "start", ["runpy.run_module('compress', run_name='__main__')", "from compress.__main__ import main; main()"]
)
def test_a_command_line_that_cannot_be_imported_is_a_crash_not_a_failed_check(start: str, tmp_path: Path) -> None:
    result = run_compress(tmp_path, "check", "m.onnx", "--baseline", "m.onnx", python=("-c", DAMAGED + start))

    assert result.returncode == 70
    assert "compress.streams" in result.stderr.splitlines()[-1]
    assert 'compress = "compress.__main__:main"' in (REPOSITORY / "pyproject.toml").read_text()
