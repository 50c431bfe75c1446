"""A plug-in is one file, a stage its file and a row: each kind is added from a temporary folder, and nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compress import networks, runner
from compress.config import load
from compress.context import Settings
from compress.errors import CompressError
from compress.packaging.package import package
from compress.pipeline import PIPELINE, Stage, link
from compress.plugins import modules_of
from compress.progress import Progress
from compress.store import Store
from tests.conftest import Run

Add = Callable[[str, str], ModuleType]

ARCHITECTURE = """
from typing import Annotated, Any

from pydantic import Field


def build(input_shape: tuple[int, int, int], classes: int, *, units: Annotated[int, Field(ge=1)] = 4) -> Any:
    import tf_keras as keras

    image = keras.Input(input_shape, name="image")
    x = keras.layers.Dense(units, name="hidden")(keras.layers.Flatten(name="flatten")(image))
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name="added")
"""

LOSS = """
from typing import Any


def loss(student_logits: Any, teacher_logits: Any, labels: Any, *, power: float = 2.0) -> Any:
    return abs(student_logits - teacher_logits) ** power
"""

CRITERION = """
from typing import Any


def importance(model: Any, coupling: Any, sample: Any, *, power: float = 2.0) -> Any:
    return [power] * coupling.count
"""

SOURCE = """
import numpy as np

from compress.data.array_samples import Part, array_samples


def claims(spec: str) -> bool:
    return spec == "stripes"


def fingerprint(spec: str, memo) -> str:
    return "version 1"


def load(spec: str, group: str, *, count: int = 40):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), np.uint8)
    return array_samples(spec, {"train": Part(images, np.arange(count) % 2, "images", "labels")})
"""

FORMAT = """
def write(bundle, out) -> None:
    bundle.copy_as("labels.txt", out / "classes")
"""

STAGE = '''
"""Count the images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from compress.artifacts import Dataset
from compress.context import Context


class Config(BaseModel):
    times: int = 1


@dataclass(frozen=True)
class Count:
    n: int


def run(config: Config, data: Dataset, out: Path, context: Context) -> Count:
    return Count(config.times * sum(data.sizes.values()))
'''


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Let a package find the file `added.py` of a folder of its own, with a text; return the module."""
    made: list[str] = []

    def add(package: str, text: str) -> ModuleType:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "added.py").write_text(text)
        parent = importlib.import_module(package)
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        made.append(f"{package}.added")
        module = importlib.import_module(made[-1])
        monkeypatch.delattr(parent, "added")
        return module

    yield add
    for name in made:
        sys.modules.pop(name, None)


def loaded(*assignments: str) -> Any:
    return load(assignments=assignments)


@pytest.mark.parametrize(("family", "key"), [("students", "distill.student"), ("teachers", "teacher.architecture")])
def test_an_architecture_is_one_file(family: Any, key: str, add: Add) -> None:
    add(family, ARCHITECTURE)

    settings = loaded(f"{key}=added", f"{key}.options.units=3")

    section, field = key.split(".")
    choice = getattr(getattr(settings, section), field)
    assert f"{family}.added" in modules_of(getattr(settings, section))
    model = networks.build(family, choice.name, choice.options, (2, 2, 1), 5)
    assert model.count_params() == (4 * 3 + 3) + (3 * 5 + 5)


def test_a_teacher_without_the_options_that_weights_need_is_named(add: Add, tmp_path: Path) -> None:
    add("teachers", ARCHITECTURE + 'BLOCKS = ("block1",)')
    np.savez(tmp_path / "weights.npz", kernel=np.zeros((3, 3, 3, 8), np.float32))

    with pytest.raises(CompressError, match=r"teacher: teachers/added.py has no option batch_norm, which weights need"):
        loaded("teacher.architecture=added", f"teacher.weights={tmp_path / 'weights.npz'}")


def test_a_loss_is_one_file(add: Add) -> None:
    add("compress.distillation.losses", LOSS)

    loss = loaded("distill.loss=added", "distill.loss.options.power=3.0").distill.loss

    assert loss.function(5.0, 3.0, None) == 8.0


def test_a_criterion_is_one_file_and_its_code_is_in_the_key_of_what_is_pruned(add: Add) -> None:
    add("compress.pruning.importance", CRITERION)

    prune = loaded("prune.importance=added", "prune.importance.options.power=3.0").prune

    assert prune.importance.function(None, SimpleNamespace(count=2), None) == [3.0, 3.0]
    assert "compress.pruning.importance.added" in modules_of(prune)


def test_a_data_source_is_one_file_and_a_stage_its_file_and_a_row(add: Add, tmp_path: Path) -> None:
    add("compress.data.sources", SOURCE)
    count = add("compress.stages", STAGE)
    settings = loaded("data.source=stripes", "data.source.options.count=30")
    stages = link((PIPELINE[0], Stage("count", count)))
    everything = SimpleNamespace(**dict(settings), count=count.Config(times=2))
    store = Store(tmp_path / "store")

    entries = runner.execute(
        runner.plan(stages, everything, store), everything, Settings(), store, Progress(Console(quiet=True))
    )

    assert runner.load_artifact(stages[0], entries[0]).name == "stripes"
    assert runner.load_artifact(stages[1], entries[1]) == count.Count(60)


def test_a_package_format_is_one_file(add: Add, tiny_run: Run, tmp_path: Path) -> None:
    add("compress.packaging.formats", FORMAT)

    out = package(tiny_run.bundle, "added", tmp_path / "out")

    assert (out / "classes").read_bytes() == (tiny_run.bundle / "labels.txt").read_bytes()
