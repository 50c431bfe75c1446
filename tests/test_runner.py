from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from compress import fingerprint, machine, runner
from compress.artifacts import Dataset, Models
from compress.context import Context
from compress.errors import BadInputError
from compress.pipeline import Stage, link
from compress.store import Store
from tests.toy import Config, Toy


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

    assert [step.why for step in toy.plan()] == ["changed: size 1 -> 2", "changed: input source"]


@pytest.mark.parametrize(
    ("module", "name", "value", "why"),
    [
        (fingerprint, "code_digest", lambda modules: "other", "changed: code"),
        (fingerprint, "library_versions", lambda modules: {"library": "2.0"}, "changed: library 1.0 -> 2.0"),
        (machine, "device_class", lambda: "gpu", "changed: device"),
    ],
)
def test_code_versions_and_device_are_part_of_the_key(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, value: object, why: str
) -> None:
    toy.execute()
    monkeypatch.setattr(module, name, value)

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


def gathering(toy: Toy) -> list[tuple[Path, ...]]:
    """Give the toy a second stage that makes models, and one that takes all models; return what that is given."""
    given: list[tuple[Path, ...]] = []

    def gather(config: Config, made: tuple[Models, ...], out: Path, context: Context) -> Dataset:
        given.append(tuple(models.models[0].file for models in made))
        return Dataset("gathered", ("a", "b"), (1, 1, 1), {}, {}, out)

    toy.config.again, toy.config.gather = Config(), Config()
    again = Stage("again", toy._module("toy_again", toy._user), 1, rename={"data": "source"})
    toy.pipeline = link((*toy.pipeline, again, Stage("gather", toy._module("toy_gather", gather), 1)))
    return given


def test_a_stage_is_given_all_that_earlier_ones_made_of_a_type_in_order(toy: Toy) -> None:
    given = gathering(toy)
    entries = toy.execute()

    assert given == [(entries[1].folder / "model", entries[2].folder / "model")]
    assert [step.why for step in toy.plan()] == ["", "", "", ""]


def test_of_gathered_inputs_the_stage_that_makes_another_is_named(toy: Toy) -> None:
    gathering(toy)
    toy.execute()
    toy.config.again = Config(size=2)

    assert [step.why for step in toy.plan()] == ["", "", "changed: size 1 -> 2", "changed: input again"]


def test_where_a_gathered_input_is_gone_the_stage_runs_again_and_says_which_inputs(toy: Toy) -> None:
    given = gathering(toy)
    toy.execute()
    toy.pipeline = link((*toy.pipeline[:2], toy.pipeline[3]))

    assert [step.why for step in toy.plan()] == ["", "", "changed: input made"]
    toy.execute()
    assert [len(files) for files in given] == [2, 1]


def test_a_gathered_input_that_came_out_different_runs_the_stage_again(toy: Toy) -> None:
    given = gathering(toy)
    again = toy.execute()[2]
    (again.folder / "model").write_bytes(b"damaged")
    toy.prefix = b"other"

    toy.execute()

    assert len(given) == 2


def test_a_row_may_name_its_product_which_is_in_the_key(toy: Toy) -> None:
    toy.execute()
    toy.pipeline = link((toy.pipeline[0], replace(toy.pipeline[1], product="mine")))

    assert [step.why for step in toy.plan()] == ["", "changed: product"]
    toy.execute()
    assert toy.products == ["", "mine"]


def test_what_hangs_on_measured_speed_is_made_again_on_another_machine_and_nothing_else(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Measured(Config):
        @property
        def measures_speed(self) -> bool:
            return self.size == 2

    def whys(size: int) -> list[str]:
        toy.config.user = Measured(size=size)
        toy.execute()
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(machine, "host", lambda: {"processor": "another"})
            return [step.why for step in toy.plan()]

    assert whys(size=1) == ["", ""]
    assert whys(size=2) == ["", "changed: machine"]
