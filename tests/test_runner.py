"""The runner over a pipeline of two toy stages: no network, no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import BaseModel
from rich.console import Console

from compress import fingerprint, runner
from compress.artifacts import Dataset, Models, OnnxModel
from compress.context import Context
from compress.errors import BadInputError, MachineError
from compress.pipeline import Stage, check
from compress.progress import Progress
from compress.store import Entry, Store


class Config(BaseModel):
    size: int = 1


class Toy:
    """Two stages that count their runs; the second fails as long as `broken`."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.runs: list[str] = []
        self.seen_epoch: list[bool] = []
        self.broken = False
        self.byte = b"x"
        self.config = SimpleNamespace(seed=0, source=Config(), user=Config())
        self.notes: list[str] = []
        self.pipeline = check(
            (
                Stage("source", self._module("toy_source", self._source), 1),
                Stage("user", self._module("toy_user", self._user), 1, rename={"data": "source"}),
            )
        )

    def _source(self, config: Config, out: Path, context: Context) -> Dataset:
        self.runs.append("source")
        (out / "file").write_bytes(self.byte * config.size)
        return Dataset("toy", ("a", "b"), (1, 1, 1), {"train": 1, "validation": 1, "test": 1}, {}, out)

    def _user(self, config: Config, data: Dataset, out: Path, context: Context) -> Models:
        self.runs.append("user")
        self.seen_epoch.append((context.checkpoint / "epoch").exists())
        (context.checkpoint / "epoch").write_bytes(b"1")
        if self.broken:
            raise RuntimeError("killed")
        (out / "model").write_bytes((data.folder / "file").read_bytes())
        return Models((OnnxModel("toy", "user", "fp32", (1, 1, 1), 2, out / "model"),))

    @staticmethod
    def _module(name: str, run: Callable[..., object]) -> ModuleType:
        module = ModuleType(name)
        module.run, module.Config = run, Config  # type: ignore[attr-defined]
        return module

    def plan(self) -> list[runner.Step]:
        return runner.plan(self.pipeline, self.config, self.store)

    def execute(self) -> list[Entry]:
        progress = Progress(Console(quiet=True))
        progress.note = self.notes.append  # type: ignore[method-assign, assignment]
        return runner.execute(self.plan(), self.config, "", self.store, progress)

    def follow(self, meet: Callable[[], None] = lambda: None) -> None:
        progress = Progress(Console(quiet=True))
        runner.follow(self.plan(), self.config, self.store, progress, meet, check_chief=lambda: None)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setattr(fingerprint, "code_digest", lambda modules: "code")
    monkeypatch.setattr(fingerprint, "library_versions", lambda modules: {"library": "1.0"})
    return Toy(tmp_path)


def test_finished_stages_are_not_run_again(toy: Toy) -> None:
    toy.execute()
    toy.execute()

    assert toy.runs == ["source", "user"]


def test_a_changed_setting_runs_that_stage_and_what_follows(toy: Toy) -> None:
    toy.execute()
    toy.config.user = Config(size=2)

    assert [step.why for step in toy.plan()] == ["", "changed: size 1 -> 2"]


def test_a_changed_setting_of_an_early_stage_is_a_changed_input_of_the_later(toy: Toy) -> None:
    toy.execute()
    toy.config.source = Config(size=2)

    assert [step.why for step in toy.plan()] == ["changed: size 1 -> 2", "changed: input data"]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("code_digest", lambda modules: "other", "changed: code"),
        ("library_versions", lambda modules: {"library": "2.0"}, "changed: library 1.0 -> 2.0"),
        ("device_class", lambda: "gpu", "changed: device"),
    ],
)
def test_code_versions_and_device_are_part_of_the_key(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, name: str, value: object, why: str
) -> None:
    toy.execute()
    monkeypatch.setattr(fingerprint, name, value)

    assert toy.plan()[0].why == why


def test_another_seed_is_another_key(toy: Toy) -> None:
    toy.execute()
    toy.config.seed = 1

    assert toy.plan()[0].why == "changed: seed"


def test_a_damaged_file_runs_that_stage_alone_and_says_so(toy: Toy) -> None:
    source, _ = toy.execute()
    (source.folder / "file").write_bytes(b"y")

    toy.execute()

    assert toy.runs == ["source", "user", "source"]
    assert any("file does not verify; made again" in note for note in toy.notes)


def test_what_follows_runs_too_where_a_stage_made_again_comes_out_different(toy: Toy) -> None:
    source, _ = toy.execute()
    (source.folder / "file").write_bytes(b"y")
    toy.byte = b"z"

    toy.execute()

    assert toy.runs == ["source", "user", "source", "user"]


def test_a_stage_that_was_interrupted_counts_the_time_of_both_tries(toy: Toy) -> None:
    toy.broken = True
    with pytest.raises(RuntimeError):
        toy.execute()
    [taken] = toy.store.unfinished.glob("user-*/taken.json")
    taken.write_text('{"seconds": 1000.0, "peak_rss_bytes": 10}')
    toy.broken = False

    _, user = toy.execute()

    assert user.manifest["seconds"] >= 1000


def test_a_stage_that_fails_leaves_the_finished_ones_and_finds_its_checkpoint_again(toy: Toy) -> None:
    toy.broken = True
    with pytest.raises(RuntimeError):
        toy.execute()
    toy.broken = False

    toy.execute()

    assert toy.runs == ["source", "user", "user"]
    assert toy.seen_epoch == [False, True]


def test_a_checkpoint_of_an_input_that_came_out_different_since_is_not_gone_on_with(toy: Toy) -> None:
    toy.broken = True
    with pytest.raises(RuntimeError):
        toy.execute()
    [entry] = (toy.store.finished / "source").iterdir()
    (entry / "file").write_bytes(b"damaged")
    toy.broken, toy.byte = False, b"y"

    toy.execute()

    assert toy.runs == ["source", "user", "source", "user"]
    assert toy.seen_epoch == [False, False]


def test_who_follows_a_chief_that_is_not_there_ends_unless_all_is_trained(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "trains", True)

    with pytest.raises(MachineError, match=r"chief\.json: is not there: .* one that all processes share"):
        toy.follow()
    toy.execute()
    toy.follow()

    assert toy.runs == ["source", "user"]


def test_who_follows_a_chief_that_gives_up_says_so(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "trains", True)

    with (
        runner.announced(toy.plan(), toy.store),
        pytest.raises(MachineError, match="ended before source was finished"),
    ):
        toy.follow(meet=toy.store.announcement.unlink)

    assert toy.runs == ["source"]


def test_what_changes_while_it_is_read_is_not_kept(toy: Toy) -> None:
    states = iter(["old", "new", "new", "new"])
    toy.pipeline[0].module.fingerprint = lambda config, memo: next(states)  # type: ignore[attr-defined]

    with pytest.raises(BadInputError, match="source: what it reads has changed while it was read"):
        toy.execute()
    toy.execute()

    assert toy.runs == ["source", "source", "user"]


def test_an_artifact_comes_back_with_its_paths_where_the_store_stands_now(toy: Toy, tmp_path: Path) -> None:
    toy.execute()
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    toy.store = Store(moved)

    step = toy.plan()[1]
    assert step.entry is not None
    models = runner.load_artifact(step.stage, step.entry)
    assert models.models[0].file == step.entry.folder / "model"


def test_the_manifest_says_what_a_stage_took(toy: Toy) -> None:
    source, _ = toy.execute()

    assert source.manifest["seconds"] >= 0
    assert source.manifest["peak_rss_bytes"] > 1_000_000
