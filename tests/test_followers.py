from __future__ import annotations

import pytest

from compress.errors import MachineError
from compress.followers import announced
from compress.pipeline import Stage
from tests.toy import Toy


def test_who_follows_a_chief_that_is_not_there_ends_unless_all_is_trained(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "trains", True)

    with pytest.raises(MachineError, match=r"chief\.json: is not there: .* one that all processes share"):
        toy.follow()
    toy.execute()
    toy.follow()

    assert toy.runs == ["source", "user"]


def test_who_follows_a_chief_that_gives_up_says_so(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "trains", True)

    with (
        announced(toy.plan(), toy.store),
        pytest.raises(MachineError, match="ended before source was finished"),
    ):
        toy.follow(meet=toy.store.announcement.unlink)

    assert toy.runs == ["source"]
