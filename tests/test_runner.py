from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from compress import fingerprint, machine, runner
from compress.errors import BadInputError
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

    assert [step.why for step in toy.plan()] == ["changed: size 1 -> 2", "changed: input data"]


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
