from __future__ import annotations

import pytest

from compress.plural import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (12_345, "12,345 classes")]
)
def test_a_noun_follows_its_number(number: int, text: str) -> None:
    assert counted(number, "class", "classes") == text


def test_most_plurals_have_an_s() -> None:
    assert [counted(number, "stage") for number in (1, 2)] == ["1 stage", "2 stages"]
