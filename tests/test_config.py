from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress import config
from compress.errors import BadInputError
from compress.toml import to_toml
from compress.weight_files import SIGNATURE


def test_set_is_over_preset_and_preset_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.toml").write_text("seed = 1\n[prune]\nsparsity = 0.5\nupdates = 3\n[bench]\nseconds = 1\n")
    monkeypatch.setattr(config, "_read_preset", lambda name: {"prune": {"sparsity": 0.6, "updates": 4}})

    loaded: Any = config.load(tmp_path / "run.toml", "digits", ["prune.sparsity=0.7"])

    assert (loaded.prune.sparsity, loaded.prune.updates, loaded.bench.seconds, loaded.seed) == (0.7, 4, 1, 1)


def test_what_is_printed_as_toml_loads_to_the_same_values(tmp_path: Path) -> None:
    loaded = config.load(assignments=["seed=7", "teacher.architecture.options.width=0.5", "bench.batches=[1, 8]"])
    (tmp_path / "printed.toml").write_text(to_toml(loaded))

    assert config.load(tmp_path / "printed.toml") == loaded


@pytest.mark.parametrize("name", config.preset_names())
def test_every_preset_loads(name: str) -> None:
    config.load(preset=name)


def test_a_value_that_is_no_toml_is_a_string() -> None:
    loaded: Any = config.load(assignments=["deploy.name=my-digits"])

    assert loaded.deploy.name == "my-digits"


@pytest.mark.parametrize(
    ("text", "size"),
    [("64", 64), ("[64, 64]", 64), ("[32, 96]", (32, 96)), ("[1024, 8]", (1024, 8))],
)
def test_an_image_size_is_a_side_or_height_and_width(text: str, size: Any, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(f"[image]\nsize = {text}\n")
    loaded: Any = config.load(tmp_path / "run.toml")

    assert loaded.image.size == size
    assert config.load(assignments=[f"image.size={text}"]) == loaded
    (tmp_path / "printed.toml").write_text(to_toml(loaded))
    assert config.load(tmp_path / "printed.toml") == loaded


@pytest.mark.parametrize(
    "text", ["7", "1025", "[32]", "[32, 96, 3]", "[32, 7]", "[1025, 32]", "32x96", "32.5", "true", "[]", "'64'"]
)
def test_another_image_size_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInputError) as error:
        config.load(assignments=[f"image.size={text}"])
    assert str(error.value).startswith(f"--set image.size={text}: image.size = ")
    assert str(error.value).endswith(
        ": should be a side or [height, width], each 8 to 1024 pixels, such as 64 or [32, 96]"
    )


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[prune]\nsparsity = 2\n")

    with pytest.raises(BadInputError, match=r"run\.toml: prune\.sparsity = 2: should be less than 1"):
        config.load(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_file_is_read_in_the_encoding_that_its_byte_order_mark_says(encoding: str, tmp_path: Path) -> None:
    """Editors on Windows write the mark, and its PowerShell turns `config > run.toml` into UTF-16."""
    text = "# größe\r\nseed = 7\r\n[deploy]\r\nname = 'run'\r\n"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "run.toml").write_bytes((mark + text).encode(encoding))

    loaded: Any = config.load(tmp_path / "run.toml")

    assert (loaded.seed, loaded.deploy.name) == (7, "run")


def test_a_file_that_is_no_utf8_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes("seed = 1 # größer".encode("cp1252"))

    with pytest.raises(BadInputError, match=r"run\.toml: not TOML, which is UTF-8: byte 13 is 0xf6; should be saved"):
        config.load(tmp_path / "run.toml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_the_home_folder_is_meant_by_a_tilde_in_every_path_of_the_settings(home: Path) -> None:
    (home / "images").mkdir()
    (home / "w.h5").write_bytes(SIGNATURE)
    (home / "run.toml").write_text(
        "workspace = '~/work'\nexported = '~'\n[data]\nsource = '~/images/'\n[teacher]\nweights = '~/w.h5'\n"
    )

    loaded: Any = config.load(Path("~/run.toml"))

    assert (loaded.workspace, loaded.exported) == (home / "work", home)
    assert (loaded.data.source.name, loaded.teacher.weights) == (f"{home}/images/", f"{home}/w.h5")
    named: Any = config.load(assignments=["data.source.name=~/images"])
    assert named.data.source.name == f"{home}/images"
    assert loaded.data.key_settings() == named.data.key_settings()
    given: Any = config.load(options={"--data ~/images": {"data": {"source": "~/images"}}})
    assert given.data.name == "images"


@pytest.mark.parametrize("key", ["workspace", "exported", "data.source", "teacher.weights"])
@pytest.mark.parametrize(
    ("value", "said"),
    [("~nobody-9/x", "there is no user 'nobody-9'"), ("$HOME/x", "environment variables are not expanded")],
)
def test_a_path_that_would_become_a_folder_of_that_name_is_refused(key: str, value: str, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        config.load(assignments=[f"{key}={value}"])

    assert str(caught.value) == f"--set {key}={value}: {key} = {value!r}: {said}; a file of that name is ./{value}"


def test_paths_in_a_file_are_relative_to_the_folder_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "run.toml").write_text("[data]\nsource = 'images'\n")
    monkeypatch.chdir(tmp_path)

    loaded: Any = config.load(Path("settings/run.toml"))

    assert loaded.data.source.name == "images"


@pytest.mark.parametrize(
    ("file", "preset", "said"),
    [
        (Path("photos"), None, "photos: No such file or directory; should be --preset photos"),
        (None, "run.toml", "--preset run.toml: is a file; should be --config run.toml, or one of "),
        (Path("gone.toml"), None, "gone.toml: No such file or directory; --config takes a readable TOML file"),
    ],
)
def test_a_preset_and_a_file_are_not_taken_for_each_other(
    file: Path | None, preset: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").touch()

    with pytest.raises(BadInputError) as caught:
        config.load(file, preset)

    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("assignments", "changed"),
    [
        ([], {}),
        (["teacher.epochs=7", "seed=0"], {"teacher.epochs": 7}),
        (["teacher.architecture=vgg11"], {"teacher.architecture": "vgg11"}),
        (["distill.student.options.width=4"], {"distill.student.options.width": 4}),
        (["image.size=[32, 96]"], {"image.size": [32, 96]}),
    ],
)
def test_settings_that_differ_from_their_defaults(assignments: list[str], changed: dict[str, Any]) -> None:
    assert config.changes(config.load(assignments=assignments)) == changed
