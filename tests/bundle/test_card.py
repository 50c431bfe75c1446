from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.artifacts import Dataset
from compress.bundle.card import readme
from compress.report.schema import Balance, BalancedClass
from tests.report.examples import differing, report
from tests.test_templates import LABELS

STUDENT = differing(flips=0.011173, mcnemar_p=0.375)
MANIFEST = {"license": "MIT", "onnxruntime": "1.12"}
TOY = Dataset("toy", (), (8, 8, 1), {}, {"background": [255, 255, 255], "fit": "crop"}, Path())


def test_a_deployed_teacher_is_compared_with_nothing() -> None:
    assert "against the teacher" not in readme(report("teacher-fp32", student=STUDENT), TOY, MANIFEST)


def test_the_readme_shows_the_classes_of_the_deployed_model() -> None:
    text = readme(report(classes=["a", "b|c", *map(str, range(19))], student=STUDENT), TOY, MANIFEST)

    assert "macro F1 1.0000, expected calibration error 0.1000. student-fp32 against the teacher: 1.1 %" in text
    assert "\n| a | 1 | 1.0000 | 1.0000 (0.2065 to 1.0000) | 1.0000 |\n| b\\|c | 1 |" in text
    assert "\n| 18 | 0 | - | - | - |\n\nMeasured on" in text
    assert "more; all classes" not in text


def test_the_readme_shows_40_classes_at_most() -> None:
    text = readme(report(classes=[f"class {i}" for i in range(43)], student=STUDENT), TOY, MANIFEST)

    assert "\n| class 39 | 0 | - | - | - |\n\nAnd 3 more; all classes are in `report.json`.\n\nMeasured on" in text
    assert "class 40" not in text


def test_the_readme_shows_what_balance_did_for_each_class() -> None:
    rows = (
        BalancedClass(name="a|b", train=4, n=8, unbalanced=0.25, balanced=0.5),
        BalancedClass(name="c", train=9, n=0, unbalanced=None, balanced=None),
    )

    text = readme(report(balance=Balance(method="smote", recall=rows)), TOY, MANIFEST)

    assert "\n| a\\|b | 4 | 8 | 0.2500 | 0.5000 |\n| c | 9 | 0 | - | - |\n" in text
    assert "keep the teacher's validation\nmean recall within the configured drop." in text


@pytest.mark.parametrize(
    ("golden", "expected"),
    [("images", "`golden.npz`: some of the validation images"), ("noise", "`golden.npz`: noise as the"), ("none", "")],
)
def test_the_readme_says_what_golden_npz_holds(golden: Any, expected: str) -> None:
    text = readme(report(), TOY, MANIFEST, golden)

    assert expected in text
    assert ("golden.npz" in text) == (golden != "none")
    assert "Pillow (10.3 or later)" in text
    assert "\n\n## Files" in text


def test_a_licence_that_the_hub_does_not_know_is_named() -> None:
    text = readme(report(), TOY, {**MANIFEST, "license": "0BSD"})

    assert text.startswith('---\nlicense: other\nlicense_name: "0bsd"\nlicense_link: LICENSE\n')


@pytest.mark.parametrize("text", LABELS)
def test_readers_of_yaml_read_the_same_names_in_the_cards_head(text: str) -> None:
    shown = report(student=STUDENT)
    named = shown.model_copy(update={"run": shown.run.model_copy(update={"data": text})})

    head = readme(named, TOY, {**MANIFEST, "license": "1e3"}).split("\n---\n")[0].removeprefix("---\n")

    card = pytest.importorskip("yaml").safe_load(head)
    assert card["license_name"] == "1e3"
    assert card["model-index"][0]["results"][0]["dataset"] == {"name": text, "type": text, "split": "test"}


@pytest.mark.parametrize(
    ("target", "said"),
    [("x86-any", "made for any x86 and ARM processor. In int8"), (None, "for the machine named above. In int8")],
)
def test_the_readme_says_for_which_processors_int8_models_were_made(target: str | None, said: str) -> None:
    text = readme(report(), TOY, {**MANIFEST, "quantized_for": target})

    assert said in text
