from __future__ import annotations

import pytest

from compress import machine
from compress.errors import BadInputError, MachineError
from compress.followers import announced
from compress.pipeline import Stage
from tests.toy import Config, Toy


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


class Measured(Config):
    measures_speed: bool = True


@pytest.mark.parametrize(
    ("settings", "changed", "why"),
    [
        (Config(), ("device_class", "gpu"), "libraries and kind of device should be the same"),
        (Measured(), ("host", {"processor": "another"}), "and machine, whose measured speed counts, should be"),
    ],
)
def test_what_would_make_something_else_than_the_chief_is_refused_with_what_should_be_the_same(
    toy: Toy, settings: Config, changed: tuple[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "trains", True)
    toy.config.source = settings
    name, value = changed

    with announced(toy.plan(), toy.store):
        monkeypatch.setattr(machine, name, lambda: value)
        with pytest.raises(BadInputError, match=f"^source: this process .* {why}"):
            toy.follow()

    assert toy.runs == []
