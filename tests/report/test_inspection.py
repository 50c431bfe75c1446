from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.samples import Samples
from compress.report.inspection import page
from compress.stages import data


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context("data", 0, 0, tmp_path, tmp_path / "logs", lambda fraction, words: None, print)


def save(folder: Path, name: str, seed: int) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)).save(path)


def inspected(folder: Path, out: Path, context: Context) -> tuple[Dataset, Samples]:
    config = data.Config(source=str(folder))
    out.mkdir()
    made = data.run(config, data.Image(size=12), out, context)
    return made, config.source.function(config.source.name, config.group, **config.rooted)


def html_of(folder: Path, out: Path, context: Context) -> str:
    made, samples = inspected(folder, out, context)
    return page(made, [samples.images.name(i) for i in range(len(samples.images))], samples.labels)


def test_copies_leaks_and_conflicts_are_shown_side_by_side(tmp_path: Path, context: Context) -> None:
    folder = tmp_path / "pictures"
    for split in ("train", "test"):
        for label in ("cat", "<dog>"):
            for i in range(6):
                save(folder, f"{split}/{label}/{i}.png", 100 * len(split + label) + i)
    save(folder, "train/cat/again.png", 1)
    save(folder, "train/cat/once.png", 1)
    save(folder, "train/cat/known.png", 2)
    save(folder, "test/cat/unknown.png", 2)
    save(folder, "train/cat/either.png", 3)
    save(folder, "train/<dog>/or.png", 3)

    html = html_of(folder, tmp_path / "out", context)

    shown = {title: text for title, _, text in (part.partition("</h2>") for part in html.split("<h2>Images "))}
    assert "train/cat/either.png (cat)" in shown["under two labels"]
    assert "train/&lt;dog&gt;/or.png (&lt;dog&gt;)" in shown["under two labels"]
    assert {"train/cat/again.png", "train/cat/once.png"} <= set(
        shown["that are copies of each other"].replace("<", ">").split(">")
    )
    assert "test/cat/unknown.png" in shown["in both train and test"]
    assert shown["in both train and test"].count("<img") == 2
    assert "<dog>" not in html


def test_data_without_findings_has_its_counts_and_pictures(tmp_path: Path, context: Context) -> None:
    folder = tmp_path / "pictures"
    for label in ("cat", "dog"):
        for i in range(20):
            save(folder, f"{label}/{i}.png", 100 * ord(label[0]) + i)

    html = html_of(folder, tmp_path / "out", context)

    assert "<h2>Images " not in html
    assert html.count("<img") == 8  # four of each class
    assert "How many images each class has in each split." in html
    assert "http" not in html.replace("http://www.w3.org/", "")
