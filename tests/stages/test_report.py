from __future__ import annotations

from pathlib import Path

import pytest

from compress.bundle import card
from compress.stages import report


def test_a_bundles_texts_are_made_anew_where_a_template_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of a stage is over Python code: what it reads besides is in its fingerprint."""
    before = report.fingerprint(report.Config(), tmp_path / "memo")
    name, template = next(iter(card.TEMPLATES.items()))
    changed = tmp_path / template.name
    changed.write_text(template.read_text("utf-8") + "More.\n", "utf-8")

    assert report.fingerprint(report.Config(), tmp_path / "memo") == before
    monkeypatch.setitem(card.TEMPLATES, name, changed)
    assert report.fingerprint(report.Config(), tmp_path / "memo") != before
