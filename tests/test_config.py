from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress import config
from compress.errors import BadInputError


def test_set_is_over_preset_and_preset_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.toml").write_text("seed = 1\n[prune]\nsparsity = 0.5\nupdates = 3\n[bench]\nseconds = 1\n")
    monkeypatch.setattr(config, "_read_preset", lambda name: {"prune": {"sparsity": 0.6, "updates": 4}})

    loaded: Any = config.load(tmp_path / "run.toml", "digits", ["prune.sparsity=0.7"])

    assert (loaded.prune.sparsity, loaded.prune.updates, loaded.bench.seconds, loaded.seed) == (0.7, 4, 1, 1)


def test_what_is_printed_as_toml_loads_to_the_same_values(tmp_path: Path) -> None:
    loaded = config.load(assignments=["seed=7", "teacher.architecture.options.width=0.5", "bench.batches=[1, 8]"])
    (tmp_path / "printed.toml").write_text(config.to_toml(loaded))

    assert config.load(tmp_path / "printed.toml") == loaded


@pytest.mark.parametrize("name", config.preset_names())
def test_every_preset_loads(name: str) -> None:
    config.load(preset=name)


def test_a_value_that_is_no_toml_is_a_string() -> None:
    loaded: Any = config.load(assignments=["deploy.name=my-digits"])

    assert loaded.deploy.name == "my-digits"


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[prune]\nsparsity = 2\n")

    with pytest.raises(BadInputError, match=r"run\.toml: prune\.sparsity = 2: should be less than 1"):
        config.load(path)
