from __future__ import annotations

import unicodedata

import pytest

from compress.data.names import canonical, is_class_name, slips, spellings, split_of

PERSIAN, FAMILY, ENGLAND, SCOTLAND = (
    "می‌خواهم",
    "👨‍👩‍👧",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"),
)
NAMES = [
    PERSIAN,
    FAMILY,
    ENGLAND,
    "crème brûlée",
    "ice\u00a0cream",
    "東京\u3000タワー",
    "שלום\u200f",
    "A-",
    "☕️",
    "C++",
    "🫩",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_scripts_name_classes(name: str) -> None:
    assert "\u200c" in PERSIAN
    assert "\u200d" in FAMILY
    assert is_class_name(canonical(name))
    assert f"{name}\n".splitlines() == [name]


@pytest.mark.parametrize(
    "name", ["", " ", "\u200b\u200b", "\u200c", "a\nb", "a\rb", "a\tb", "a\x85b", "a\u2028b", "a\x1cb", "a\0", "\udc80"]
)
def test_what_breaks_a_line_shows_nothing_or_is_no_text_names_none(name: str) -> None:
    assert not is_class_name(canonical(name))


@pytest.mark.parametrize("name", ["é", "Å", "й", "가", "ぱ", "ṩ"])
def test_two_forms_of_unicode_and_spaces_around_make_no_difference(name: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))

    assert composed != decomposed
    for spelt in (decomposed, f" {decomposed}", f"{composed}\u00a0", f"\ufeff{composed}", f"\t{decomposed}\r\n\u200b"):
        assert canonical(spelt) == composed


def test_what_is_inside_a_name_makes_a_difference() -> None:
    names = {PERSIAN, PERSIAN.replace("\u200c", ""), "a b", "a  b", "ab", "A", "a", "\uff11", "1"}

    assert {canonical(name) for name in names} == names


@pytest.mark.parametrize(
    ("split", "names"),
    {
        "train": ("train", "Training Data", "training_set", "trainset", "seg_train", "Train ", "train-images", "TRAIN"),
        "validation": ("val", "valid", "Validation Set", "validation_data", "dev", "val_images"),
        "test": ("test", "Testing", "test_set", "Test Data", "seg_test", "test.images", "test_data_set"),
        None: ("trains", "contest", "latest", "fold_0", "holdout", "val1", "protest data", "", "training wheels"),
    }.items(),
)
def test_the_well_known_names_of_splits_are_known(split: str | None, names: tuple[str, ...]) -> None:
    assert [split_of(name) for name in names] == [split] * len(names)


def test_spellings_of_one_name_are_told() -> None:
    assert spellings(["a", "b", "a"]) == []
    [line] = spellings([" a", "a", "e\u0301", "é", "é", "b"])
    assert line.endswith("differ: ' a' and 'a'; 'e\\u0301' and '\\xe9'")


@pytest.mark.parametrize(
    "pair",
    [
        ("Cat", "cat"),
        ("\uff11", "1"),
        ("01", "1"),
        ("black cat", "black_cat"),
        ("T-shirt", "T  shirt"),
        ("cat.", "cat"),
        (PERSIAN, PERSIAN.replace("\u200c", "")),
        ("☕️", "☕"),
        ("ﬁsh", "fish"),
        ("Straße", "STRASSE"),
        ("a\u200eb", "ab"),
    ],
)
def test_a_likely_slip_is_told(pair: tuple[str, str]) -> None:
    [line] = slips([*pair, "other"])

    assert all(repr(name) in line for name in pair)


def test_grades_flags_and_other_names_are_no_slips() -> None:
    assert (
        slips(
            ["A", "A-", "A+", "B", ENGLAND, SCOTLAND, "🏴", "C", "C++", "C#", "1", "10", "100", "0", "-1", "ab", "a b"]
        )
        == []
    )


def test_what_programs_write_for_missing_values_is_told_as_a_name() -> None:
    assert slips(["cat", "NaN", "none"]) == ["a class is named 'NaN', as missing values are"]


def test_many_slips_are_one_line() -> None:
    [line] = slips([letter for pair in zip("abcdefgh", "ABCDEFGH", strict=True) for letter in pair])

    assert "'A' and 'a'; 'B' and 'b'; 'C' and 'c'; and 5 more" in line
