from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.bundle.answers import read_answers, write_answers
from compress.bundle.compared import sides_of
from compress.bundle.contents import ANSWERS
from compress.commands.bundles import compare as command
from compress.errors import BadInputError
from compress.report.compare import Side, differences, notes, page, rows, unlike
from compress.report.file import FILE, to_text
from compress.report.making import Host
from compress.report.schema import Report
from tests.report.test_page import made

N = 300
LABELS = np.arange(N) % 3


def report(digest: str = "d", classes: tuple[str, ...] = ("a", "b", "c"), host: Host | None = None) -> Report:
    whole = made(classes, n=N)
    run = whole.run.model_copy(update={"host": host or whole.run.host})
    return whole.model_copy(update={"data": whole.data.model_copy(update={"test_sha256": digest}), "run": run})


def wrong(*places: int) -> np.ndarray:
    answers = LABELS.copy()
    answers[list(places)] = (answers[list(places)] + 1) % 3
    return answers


def with_accuracy(whole: Report, accuracy: float, low: float, high: float) -> Report:
    models = [
        each.model_copy(
            update={"test": each.test.model_copy(update={"accuracy": accuracy, "accuracy_ci95": (low, high)})}
        )
        for each in whole.models
    ]
    return whole.model_copy(update={"models": tuple(models)})


def test_the_same_images_are_compared_one_by_one() -> None:
    first = Side("one", with_accuracy(report(), 290 / N, 0.9, 1.0), {}, LABELS, wrong(*range(10)))
    second = Side("two", with_accuracy(report(), 298 / N, 0.9, 1.0), {}, LABELS, wrong(0, 20))

    [difference] = differences([first, second])

    assert difference.points == pytest.approx(100 * 8 / N)
    assert difference.p == pytest.approx(0.021484375)  # 1 of 10 that differ, both sides: 2 * (1 + 10) / 1024
    low, high = difference.interval
    assert 0 < low < difference.points < high
    assert notes([first, second]) == []
    assert difference.text == f"+2.7 points ({low:.1f} to {high:.1f}), McNemar p = 0.021"


@pytest.mark.parametrize(
    ("digest", "answers", "why"),
    [
        ("d", LABELS[:-1], "their test images have other labels"),
        ("other", LABELS, "their test images are not the same"),
        ("", LABELS, "their test images are not the same"),
        ("d", None, "two does not hold its answers: it was made by an earlier version"),
    ],
)
def test_what_cannot_be_paired_is_compared_by_its_intervals_and_says_why(digest: str, answers: Any, why: str) -> None:
    """The bounds are Wilson's of 56 in 70 and 48 in 80, an example of Newcombe (1998), whose interval is this one."""
    first = Side("one", with_accuracy(report(), 0.6, 0.4904, 0.7004), {}, LABELS, LABELS)
    second = Side("two", with_accuracy(report(digest), 0.8, 0.6920, 0.8769), {}, answers, answers)

    [difference] = differences([first, second])

    assert difference.p is None
    assert difference.interval == pytest.approx((5.24, 33.39), abs=0.06)
    [line] = notes([first, second])
    assert line.startswith(f"two is not compared with one image by image: {why}")


def test_latencies_of_different_machines_are_said_not_to_compare() -> None:
    other = report().run.host.model_copy(update={"processor": "another"})

    [line] = notes([Side("one", report(), {}, LABELS, LABELS), Side("two", report(host=other), {}, LABELS, LABELS)])

    assert line.startswith(
        "latencies were measured on different machines, and do not compare: one on some with 2 cores"
    )


def test_only_settings_that_differ_are_shown_and_none_of_where_a_run_is() -> None:
    sides = [
        Side("one", report(), {"seed": "0", "teacher.epochs": "6", "workspace": "x", "deploy.name": "one"}),
        Side("two", report(), {"seed": "1", "teacher.epochs": "6", "workspace": "y", "prune.ramp": "0.5"}),
    ]

    assert unlike(sides) == {"seed": ["0", "1"], "prune.ramp": [None, "0.5"]}
    html = page(sides)
    assert "<code>prune.ramp</code>" in html
    assert all(cell in html for row in rows(sides) for cell in row)


def bundle(folder: Path, whole: Report, seed: int = 0) -> Path:
    folder.mkdir()
    (folder / FILE).write_text(to_text(whole), "utf-8")
    (folder / "config.toml").write_text(f"seed = {seed}\n[teacher]\nepochs = 6\n")
    probabilities = np.eye(3, dtype=np.float32)[wrong(seed)]
    few = len(whole.run.classes)
    write_answers(folder / ANSWERS, LABELS % few, [probabilities[:, :few]] * len(whole.models))
    return folder


def test_two_bundles_are_read_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [bundle(tmp_path / name, report(), seed) for seed, name in enumerate(("one", "two"))]

    command(folders, tmp_path / "page.html")

    shown = capsys.readouterr().out
    assert "seed: 0 | 1" in shown
    assert "teacher.epochs" not in shown
    assert "McNemar p = 1" in shown
    assert "<h1>one, two</h1>" in (tmp_path / "page.html").read_text("utf-8")


def test_answers_come_back_as_they_were_written(tmp_path: Path) -> None:
    whole = report()
    labels, answers = read_answers(bundle(tmp_path / "one", whole, 5), whole)

    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(answers, [wrong(5)] * len(whole.models))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "one: is one bundle; compare should be given two or more"),
        ([report(classes=("a", "b"))], "two: has 2 classes, not 3 as in one; bundles should tell the same classes"),
        ([report(classes=("b", "a", "c"))], "two: has classes of other names or in another order as in one"),
    ],
)
def test_bundles_that_cannot_be_compared_are_refused(others: list[Report], message: str, tmp_path: Path) -> None:
    folders = [bundle(tmp_path / name, whole) for name, whole in zip(("one", "two"), [report(), *others], strict=False)]

    with pytest.raises(BadInputError, match=message):
        sides_of(folders)


@pytest.mark.parametrize(
    ("arrays", "toml"),
    [
        ({"labels": LABELS[1:].astype(np.uint8), "answers": np.zeros((3, N), np.uint8)}, ""),
        ({"labels": LABELS.astype(np.uint8), "answers": np.zeros((2, N), np.uint8)}, ""),
        ({"labels": LABELS.astype(np.uint8), "answers": np.full((3, N), 3, np.uint8)}, ""),
        ({"labels": LABELS.astype(np.float32), "answers": np.zeros((3, N), np.uint8)}, ""),
        ({"labels": LABELS.astype(np.uint8)}, ""),
        (None, "seed = \n"),
        (None, ".".join(["a"] * 3000) + " = 1\n"),
    ],
)
def test_a_damaged_bundle_is_named(arrays: dict[str, np.ndarray] | None, toml: str, tmp_path: Path) -> None:
    folders = [bundle(tmp_path / name, report()) for name in ("one", "two")]
    if arrays is not None:
        np.savez(folders[1] / ANSWERS, **arrays)  # type: ignore[arg-type]
    if toml:
        (folders[1] / "config.toml").write_text(toml)

    with pytest.raises(BadInputError, match=r"two[/\\](answers\.npz|config\.toml): "):
        sides_of(folders)


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folders = [bundle(tmp_path / name, report()) for name in ("one", "two")]

    with pytest.raises(BadInputError, match=r"--html .*missing"):
        command(folders, tmp_path / "missing" / "page.html")


def test_compressed_answers_are_not_unpacked(tmp_path: Path) -> None:
    folders = [bundle(tmp_path / name, report()) for name in ("one", "two")]
    whole = report()
    np.savez_compressed(
        folders[1] / ANSWERS, labels=np.zeros(N, np.uint64), answers=np.zeros((len(whole.models), N), np.uint64)
    )

    with pytest.raises(BadInputError, match="not compressed"):
        sides_of(folders)
