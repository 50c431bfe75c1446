"""A pipeline of two toy stages: no network, no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

from pydantic import BaseModel
from rich.console import Console

from compress import runner
from compress.artifacts import Dataset, Models, OnnxModel
from compress.context import Context, Settings
from compress.followers import follow
from compress.pipeline import Stage, link
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
        self.products: list[str] = []
        self.broken = False
        self.byte, self.prefix = b"x", b""
        self.config = SimpleNamespace(seed=0, source=Config(), user=Config())
        self.notes: list[str] = []
        self.pipeline = link(
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
        self.products.append(context.product)
        self.seen_epoch.append((context.checkpoint / "epoch").exists())
        (context.checkpoint / "epoch").write_bytes(b"1")
        if self.broken:
            raise RuntimeError("killed")
        (out / "model").write_bytes(self.prefix + (data.folder / "file").read_bytes())
        return Models("toy", (OnnxModel("toy", "user", "fp32", (1, 1, 1), 2, out / "model"),))

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
        return runner.execute(self.plan(), self.config, Settings(), self.store, progress)

    def follow(self, keys: Mapping[str, str], check_chief: Callable[[], None] = lambda: None) -> None:
        progress = Progress(Console(quiet=True))
        follow(self.plan(), keys, self.config, self.store, progress, lambda: None, check_chief)
