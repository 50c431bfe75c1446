from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compress import fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project package of two modules, the first importing the second inside a function."""
    folder = tmp_path / "toyproject"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text(
        '"""Doc."""\nimport os, numpy\n\ndef f():\n    """Doc."""\n    from toyproject import b\n    return b\n'
    )
    (folder / "b.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fingerprint, "PROJECT", ("toyproject",))
    yield folder
    sys.modules.pop("toyproject", None)


def digest(module: str = "toyproject.a") -> str:
    for cached in (fingerprint._source, fingerprint._tree, fingerprint._imports, fingerprint._dump):
        cached.cache_clear()
    return fingerprint.code_digest([module])


def test_a_change_of_docstrings_comments_or_layout_keeps_the_digest(package: Path) -> None:
    before = digest()
    text = (package / "a.py").read_text().replace("Doc.", "Other words.").replace("return b", "return (b)  # why")
    (package / "a.py").write_text(text)

    assert digest() == before


def test_a_change_of_code_changes_the_digest(package: Path) -> None:
    before = digest()
    (package / "a.py").write_text((package / "a.py").read_text().replace("return b", "return [b]"))

    assert digest() != before


def test_a_change_of_a_module_that_is_imported_inside_a_function_changes_the_digest(package: Path) -> None:
    before = digest()
    (package / "b.py").write_text("VALUE = 2\n")

    assert digest() != before


def test_library_versions_name_what_is_imported_but_not_the_standard_library(package: Path) -> None:
    digest()

    assert set(fingerprint.library_versions(["toyproject.a"])) == {"python", "numpy"}


def test_the_teachers_versions_hold_tensorflow_and_reading_them_does_not_import_it() -> None:
    digest()
    loaded = "tensorflow" in sys.modules

    assert "tensorflow" in fingerprint.library_versions(["compress.stages.teacher"])
    assert ("tensorflow" in sys.modules) == loaded


def test_a_change_of_a_module_that_is_imported_relatively_changes_the_digest(package: Path) -> None:
    (package / "a.py").write_text("from .b import VALUE\n")
    before = digest()
    (package / "b.py").write_text("VALUE = 2\n")

    assert digest() != before


def test_a_module_that_another_distribution_brings_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fingerprint.DISTRIBUTIONS, "numpy", "not-there")
    fingerprint._versions_of.cache_clear()

    assert list(fingerprint._versions_of("numpy")) == ["numpy"]
    fingerprint._versions_of.cache_clear()


@pytest.mark.parametrize("build", ["onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"])
def test_the_build_of_onnxruntime_whose_files_are_there_is_named_though_another_is_installed_too(
    build: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    (tmp_path / "onnxruntime" / "capi" / "build_and_package_info.py").write_text(f"package_name = '{build}'\n")
    for name in {"onnxruntime", build}:
        folder = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    fingerprint._versions_of.cache_clear()

    assert fingerprint._versions_of("onnxruntime") == {build: "1.2"}
    fingerprint._versions_of.cache_clear()


def test_the_cost_estimates_and_other_stages_are_in_no_key_of_the_teacher() -> None:
    digest()
    closure = fingerprint._closure(["compress.stages.teacher"])

    assert "compress.training.fit" in closure
    assert not {"compress.estimate", "compress.pipeline", "compress.stages.prune"} & set(closure)
