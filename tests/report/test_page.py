from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifacts import Latencies
from compress.report import making, page, schema
from compress.report.charts.style import COLORS, Chart
from compress.report.evidence import CLASSES, EXAMPLES, PER_CLASS, Evidence, samples
from compress.report.evidence import examples as told_apart
from compress.report.file import PAGE, PLOTS
from compress.report.kernels import summary
from compress.report.scores import split_metrics, versus_teacher
from tests.report import examples

UNITS = {
    "": 1.0,
    "%": 100.0,
    "ms": 1.0,
    "s": 1.0,
    "min": 1 / 60,
    "byte": 1.0,
    "bytes": 1.0,
    "kB": 1e-3,
    "MB": 1e-6,
    "GB": 1e-9,
}


class Reader(HTMLParser):
    """The numbers of a page: what its elements `data` say, and the text of all that say nothing of where it is from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str, str]] = []  # key, value, text
        self.texts: list[str] = []
        self.open: list[tuple[str, dict[str, Any]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[Any]) -> None:
        if tag not in ("meta", "link", "img", "br"):
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag == "data":
            self.numbers.append((attributes["data-key"], attributes["value"], data))
        elif not any(name in ("svg", "script", "style", "code", "title", "figcaption") for name, _ in self.open):
            self.texts.append(data)


def told(rng: np.random.Generator, labels: np.ndarray, classes: int, right: float) -> np.ndarray:
    """Return probabilities of which a fraction is right."""
    predicted = np.where(rng.random(len(labels)) < right, labels, rng.integers(0, classes, len(labels)))
    raw = rng.random((len(labels), classes)) + 8 * rng.random((len(labels), 1)) * np.eye(classes)[predicted]
    return (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)


def model(name: str, precision: str, labels: np.ndarray, scores: np.ndarray, teacher: np.ndarray, classes: Any) -> Any:
    metrics = split_metrics(labels, scores, classes)
    held_out = schema.HeldOut(**dict(metrics), **dict(versus_teacher(labels, scores, teacher)))
    layers = tuple(schema.Layer(name=f"conv{i}", width=8 << i, weights=72 << i, zeros=9 << i) for i in range(3))
    changed = {
        "stage": {"teacher": "teacher", "student": "distill"}[name],
        "precision": precision,
        "test": held_out,
        "validation": held_out,
        "layers": layers,
        "params": 123_456,
        "macs": 7_654_321,
        "size_bytes": 1_234_567 if name == "teacher" else 45_678,
        "latency": tuple(examples.latency(p50, threads) for p50, threads in ((0.2, 1), (0.15, 2))),
        "kernels": examples.kernels(
            examples.kernel("QLinearConv", "int8", 61.0, nodes=7, is_product=True),
            examples.kernel("DequantizeLinear", "conversion", 13.0),
        ),
    }
    return examples.model(f"{name}-{precision}", classes).model_copy(update=changed)


def trained(n: int, balanced: bool = False) -> making.Training:
    rows = tuple(
        making.Epoch(
            epoch=i + 1,
            learning_rate=0.1,
            loss=2.0 / (i + 1),
            validation_accuracy=i / n,
            validation_cross_entropy=1.0 / (i + 1),
            validation_recall=i / n if balanced else None,
        )
        for i in range(n)
    )
    return making.Training(name="training", precision="float32", limit=n, history=rows, warnings=("a warning",))


def made(classes: tuple[str, ...] = ("a", "b", "c"), n: int = 300, deployed: str = "student-int8") -> schema.Report:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(classes)
    teacher, student = (told(rng, labels, len(classes), right) for right in (0.9, 0.8))
    models = [model("teacher", "fp32", labels, teacher, teacher, classes)]
    models += [model("student", precision, labels, student, teacher, classes) for precision in ("fp32", "int8")]
    base = examples.report(classes=classes)
    changed = {
        "models": tuple(models),
        "deployed": deployed,
        "training": {"teacher": (trained(5), trained(7)), "student": (trained(4),)},
        "recipe": (making.Decision(key="image.size", value=32, reason="images are stored at 8x8"),),
        "settings": {"data.group": "^a", "distill.views": 3},
        "stages": tuple(
            making.Stage(name=name, key="0" * 64, cached=False, seconds=100.0, peak_rss_bytes=1 << 30)
            for name in ("teacher", "distill", "quantize_student")
        ),
        "advice": ("more epochs may help",),
        "data": base.data.model_copy(
            update={"counts": {name: {"train": 9, "validation": 1, "test": 2} for name in classes}}
        ),
        "skipped": (making.Skip(what="CUDAExecutionProvider", why="there is no GPU"),),
        "run": base.run.model_copy(update={"n_test": n, "n_train": 1234}),
    }
    return base.model_copy(update=changed)


def evidence(report: schema.Report, side: int = 8) -> Evidence:
    rng = np.random.default_rng(1)
    classes = report.run.classes
    images = rng.integers(0, 256, (200, side, side, 3), dtype=np.uint8)
    labels = np.arange(200) % len(classes)
    teacher, deployed = (told(rng, labels, len(classes), right) for right in (0.7, 0.6))
    latencies = tuple(
        Latencies(each.id, row.provider, row.threads, row.batch, tuple(rng.integers(90_000, 110_000, 70).tolist()))
        for each in report.models
        for row in each.latency
    )
    lost, gained = told_apart(images, labels, deployed, teacher, classes)
    return Evidence(latencies, samples(images, labels, classes), lost, gained)


def html_of(report: schema.Report, shown: Evidence | None = None) -> str:
    shown = shown or evidence(report)
    return page.page(report, shown, page.charts(report, shown))


def looked_up(report: dict[str, Any], pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        report = report[int(part) if isinstance(report, list) else part.replace("~1", "/").replace("~0", "~")]
    return report


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("a/b", "c~d", "<e> $f$")])
@pytest.mark.parametrize("deployed", ["student-int8", "teacher-fp32"])
def test_every_number_is_that_of_the_report(classes: tuple[str, ...], deployed: str) -> None:
    report = made(classes, deployed=deployed)
    read = json.loads(json.dumps(report.model_dump(mode="json")))

    numbers = Reader(html_of(report)).numbers

    assert len(numbers) > 100
    for key, value, text in numbers:
        if key.endswith(" length"):
            expected = len(looked_up(read, key.removesuffix(" length")))
        else:
            first, *second = re.split(" (?=/)", key)
            expected = looked_up(read, first) / (looked_up(read, second[0]) if second else 1)
        assert float(value) == pytest.approx(expected)
        number, _, unit = text.replace(",", "").partition(" ")
        decimals = len(number.partition(".")[2])
        is_bound = "_ci95/" in key and "/drop_ci95/" not in key  # in percent, as the other bound says
        scale = 100.0 if is_bound else UNITS[unit]
        shown = abs(expected) if key.endswith("drop_vs_teacher") and expected < 0 <= float(number) else expected
        assert float(number) == pytest.approx(scale * shown, abs=0.5001 * 10**-decimals), (key, text)


def test_no_number_stands_in_the_page_without_saying_where_it_is_from() -> None:
    report = made()
    known = " ".join(
        [
            *(model.id for model in report.models),
            *(line for training in report.training.values() for each in training for line in each.warnings),
            *report.advice,
            *(f"{made.key} {made.value} {made.reason}" for made in report.recipe),
            *report.run.versions.values(),
            *page.TITLES.values(),
            *(summary(model.kernels) for model in report.models if model.kernels),
            report.run.host.processor,
        ]
    )

    texts = " ".join(Reader(html_of(report)).texts)

    texts = re.sub(r"95 %|90 % within|99 % within|F1|McNemar p [=<] [\d.e-]+|[\d.]+ % of answers changed", "", texts)
    texts = re.sub(r"student-\w+|teacher-\w+|Seed 0, on .*", "", texts)
    assert [found for found in re.findall(r"\d[\d,.]*", texts) if found not in known] == []


def test_what_a_run_lacks_is_said_with_its_reason() -> None:
    report = examples.report(classes=("a", "b"))  # without trainings, layers and counts

    html = html_of(report, Evidence((), no_images="no images: deploy.golden keeps them out"))

    text = " ".join(Reader(html).texts)
    assert "nothing was trained in this run" in text
    assert "the report does not tell layers" in text
    assert "no latency was kept" in text
    assert "the report tells no int8 model's kernels" in text
    assert text.count("no images: deploy.golden keeps them out") == 3
    assert "<img" not in html


def test_names_of_classes_are_text_wherever_they_stand() -> None:
    html = html_of(made(('<script>alert("1")</script>', "$x_1$", "a & b")))

    assert "<script>alert" not in html
    assert "a &amp; b" in html
    assert html.count("<script>") == 1


def test_the_same_report_gives_the_same_files(tmp_path: Path) -> None:
    report = made()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        page.write(tmp_path / name, report, evidence(report))

    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert {"front_latency.png", "front_latency.svg", "training_teacher.png"} < {path.name for path in files}
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    assert all(path.parts[0] == PLOTS for path in files if path.suffix in (".png", ".svg"))


def test_a_page_of_a_hundred_classes_and_large_images_stays_below_three_megabytes(tmp_path: Path) -> None:
    report = made(tuple(f"a class with the number {i}" for i in range(100)), n=100_000)

    page.write(tmp_path, report, evidence(report, side=224))

    assert (tmp_path / PAGE).stat().st_size < 3_000_000


def test_figures_in_the_page_have_the_colours_of_its_scheme() -> None:
    report = made()
    html = html_of(report)
    svgs = re.findall(r"<svg.*?</svg>", html, re.DOTALL)

    assert len(svgs) == sum(
        isinstance(each, Chart) for found in page.charts(report, evidence(report)).values() for each in found
    )
    for svg in svgs:
        assert not any(light in svg for light, _ in COLORS.values())
        assert "var(--ink)" in svg
        assert "<metadata>" not in svg


def test_the_table_for_pull_requests_has_the_sentence_and_each_model() -> None:
    text = page.markdown(made())

    assert re.search(
        r"^Compared with the teacher: as fast, 27 times smaller, [\d.]+ points less accurate \(95 % ", text, re.M
    )
    assert "| **student-int8**, deployed | " in text
    assert "- more epochs may help\n" in text
    assert "\nstudent-int8: 7 of 7 products run as int8; 1 conversion takes 18 % of the time.\n" in text
    assert "<data" not in text


def test_a_teacher_that_is_deployed_is_not_compared_with_itself() -> None:
    text = page.markdown(made(deployed="teacher-fp32"))

    assert "The teacher itself is deployed" in text


def test_images_are_those_of_which_the_model_that_is_wrong_was_surest() -> None:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    labels = np.array([0, 0, 0, 1])
    teacher = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.8, 0.2]], np.float32)
    deployed = np.array([[0.4, 0.6], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], np.float32)

    lost, gained = told_apart(images, labels, deployed, teacher, ("x", "y"))

    assert [(each.true, each.teacher, each.deployed) for each in lost] == [("x", "x", "y")] * 2
    assert [(each.true, each.teacher, each.deployed) for each in gained] == [("y", "x", "y")]
    assert len({each.picture.content for each in (*lost, *gained)}) == 3
    many = told_apart(np.zeros((99, 1, 1, 1), np.uint8), np.zeros(99, int), deployed[[1] * 99], teacher[[1] * 99], "xy")
    assert [len(found) for found in many] == [EXAMPLES, 0]


def test_samples_are_some_of_each_class_up_to_a_number_of_classes() -> None:
    images, labels = np.zeros((300, 80, 100, 3), np.uint8), np.arange(300) % 30
    found = samples(images, labels, [f"c{i}" for i in range(30)])

    assert list(found) == [f"c{i}" for i in range(CLASSES)]
    assert {len(pictures) for pictures in found.values()} == {PER_CLASS}
    assert {picture.kind for pictures in found.values() for picture in pictures} == {"webp"}


@pytest.mark.parametrize(
    ("p50_ms", "size", "drop", "sentence"),
    [
        (0.02, 2_000, 0.2, "10 times faster and 617 times smaller than the teacher, 0.2 points less accurate (95 % "),
        (
            0.4,
            2_469_134,
            -1.0,
            "2.0 times slower and 2.0 times larger than the teacher, 1.0 points more accurate (95 % ",
        ),
        (0.201, 2_000, 0.04, "Compared with the teacher: as fast, 617 times smaller, as accurate (95 % "),
        (0.02, 1_234_000, 0.0, "Compared with the teacher: 10 times faster, as large, as accurate (95 % "),
    ],
)
def test_the_sentence_says_what_the_figures_show(p50_ms: float, size: int, drop: float, sentence: str) -> None:
    report = made()
    best = report.deployed_model
    test = best.test.model_copy(update={"drop_vs_teacher": drop})
    changed = {"latency": (examples.latency(p50_ms),), "size_bytes": size, "test": test}
    models = (*report.models[:-1], best.model_copy(update=changed))

    text = page.markdown(report.model_copy(update={"models": models}))

    assert text.splitlines()[2].startswith(sentence)


def test_names_that_fonts_lack_and_names_that_begin_alike_are_drawn() -> None:
    report = made(("\u732b", "photograph of a brown cat", "photograph of a brown dog"))

    html = html_of(report)

    assert ">\u732b<" in html
    assert "photogra\u2026own cat" in html
    assert "photogra\u2026own dog" in html


@pytest.mark.parametrize("classes", [("no", "yes"), tuple(f"c{i}" for i in range(130))])
def test_two_classes_and_more_than_a_matrix_can_show(classes: tuple[str, ...]) -> None:
    report = made(classes)
    rows = tuple(schema.BalancedClass(name=name, train=5, n=2, unbalanced=0.5, balanced=1.0) for name in classes)
    html = html_of(report.model_copy(update={"balance": schema.Balance(method="oversample", recall=rows)}))

    text = " ".join(Reader(html).texts)
    assert ("too many for a matrix" in text) == (len(classes) > 100)
    assert ("Training images of the first" in text) == (len(classes) > CLASSES)
    assert html.count('<th scope="row">c129</th>') == 0


def test_a_class_without_test_images_has_dashes() -> None:
    report = made()
    empty = schema.ClassMetrics(n=0, precision=None, recall=None, f1=None, recall_ci95=None)
    models = []
    for each in report.models:
        test = each.test.model_copy(update={"classes": {**each.test.classes, "c": empty}})
        models.append(each.model_copy(update={"test": test}))

    html = html_of(report.model_copy(update={"models": tuple(models)}))

    assert re.search(r'<th scope="row" class="wrap">c</th><td><data [^>]*>0</data></td><td>-</td>', html)


def test_a_stage_is_shown_with_what_was_asked_of_it() -> None:
    report = made()
    decided = [making.Decision(key=key, value=64, reason="few") for key in ("quantize.images", "prune.epochs")]
    prune_student = report.stages[0].model_copy(update={"name": "prune_student"})
    changes = {"recipe": (*report.recipe, *decided), "stages": (*report.stages, prune_student)}
    html = html_of(report.model_copy(update=changes))

    rows = dict(re.findall(r'<th scope="row">(\w+)</th>\n<td>.*?<td class="text wrap">\n(.*?)</td>', html, re.DOTALL))
    assert rows["distill"].strip() == "<code>views = 3</code>"
    assert rows["quantize_student"].strip() == "<code>images = 64</code>"
    assert rows["teacher"].strip() == ""
    assert rows["prune_student"].strip() == ""  # which has a section of its own


def test_what_was_tried_is_drawn_and_what_was_taken_marked() -> None:
    tried = tuple(making.Trial(what=f"width {i}", score=i / 10, cost=i, taken=i == 3) for i in range(1, 6))
    report = made().model_copy(update={"trials": {"pruned": tried}})

    html = html_of(report)
    assert "pruned: what was tried; up and to the left is better" in html
    assert '<th scope="row" class="wrap">width 3 (taken)</th>' in html
    assert '<th scope="row" class="wrap">width 4</th>' in html
    assert "no stage of this run tries several ways" in html_of(made())


def test_what_costs_the_same_stands_in_a_table_without_a_figure() -> None:
    tried = tuple(making.Trial(what=f"calibration {i}", score=-i / 10, cost=0.0, taken=i == 1) for i in range(1, 4))
    damage = making.Damage(layer="block2_conv1", signal_to_noise=7.06, lost=12.3)
    changes = {"trials": {"pruned-int8": tried}, "damages": {"pruned-int8": (damage,)}}
    html = html_of(made().model_copy(update=changes))

    assert "what was tried; up and to the left is better" not in html
    assert "calibration 1 (taken)" in html
    row = re.search(r'<th scope="row" class="wrap">block2_conv1</th>(.*?)</tr>', html, re.DOTALL)
    assert row
    assert re.findall(r">(-?[\d.]+)<", row[1]) == ["7.1", "12.3"]
