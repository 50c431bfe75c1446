"""A bundle with its teacher: whole, verified, and of use to a run that trains none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import trained_weights
from compress.arrays import load_arrays, save_arrays
from compress.bundle.contents import TEACHER
from compress.bundle.manifest import read_manifest
from compress.bundle.verify import verify
from compress.errors import BadInputError
from compress.packaging.package import package
from tests.bundle.test_verify import reseal
from tests.conftest import TINY, Run, run_compress


@pytest.fixture(scope="module")
def kept(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run once more, with its teacher in the bundle: all stages but the last are finished."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    shutil.copytree(tiny_run.folder, folder)
    result = run_compress(folder, "all", "--config", str(TINY), "--set", "deploy.keep_teacher=true")
    assert result.returncode == 0, result.stdout + result.stderr
    return Run(folder, result.stdout)


@pytest.fixture
def bundle(kept: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept.bundle, tmp_path / "digits"))


def test_the_teacher_is_listed_and_verified_and_the_card_says_how_to_use_it(kept: Run) -> None:
    assert TEACHER in read_manifest(kept.bundle)["files"]
    assert TEACHER in (kept.bundle / "SHA256SUMS").read_text()
    assert "42 arrays of the teacher, vgg11, for these labels" in list(verify(kept.bundle))
    assert "--set teacher.weights=path/to/teacher.npz --set teacher.epochs=0" in (kept.bundle / "README.md").read_text()


def test_a_later_run_takes_it_without_training_and_cannot_lose_it(kept: Run, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    shutil.copytree(kept.bundle, folder / "exported" / "digits")
    weights = ("--set", "teacher.weights=exported/digits/teacher.npz", "--set", "teacher.epochs=0")

    later = run_compress(folder, "teacher", "--set", "recipe=none", *weights)
    lost = run_compress(folder, "all", "--set", "recipe=none", *weights)

    assert later.returncode == 0, later.stdout + later.stderr
    [made] = (folder / ".compress").glob("**/weights.npz")
    arrays = load_arrays(folder / "exported" / "digits" / TEACHER)
    assert all(np.array_equal(array, arrays[name]) for name, array in load_arrays(made).items())
    assert "teacher: begins from all layers of exported/digits/teacher.npz" in later.stdout
    assert "does not tell its classes" not in later.stdout
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)
    assert "deploy.keep_teacher = false: the new bundle would take the place of exported/digits/teac" in lost.stderr


def test_without_its_teacher_a_copy_verifies_and_says_so(bundle: Path) -> None:
    (bundle / TEACHER).unlink()

    assert "skipped teacher.npz: is not here, and only training needs it" in list(verify(bundle))


def with_description(**values: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        described = trained_weights.described(file)
        assert described
        text = described.model_copy(update=values).model_dump_json()
        save_arrays(file, {**load_arrays(file), trained_weights.DESCRIPTION: np.array(text)})

    return change


def undescribed(file: Path) -> None:
    arrays = load_arrays(file)
    del arrays[trained_weights.DESCRIPTION]
    save_arrays(file, arrays)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_description(classes=tuple("9876543210")), "its network.json should name the classes in labels.txt"),
        (undescribed, "its network.json should name the classes in labels.txt"),
        (lambda file: file.write_bytes(b"PK"), "cannot be read as .npz"),
        (lambda file: save_arrays(file, {"0001": np.zeros(3)}), "has '0001' where 0000 should be"),
    ],
)
def test_another_teacher_with_right_hashes_is_refused(change: Callable[[Path], Any], said: str, bundle: Path) -> None:
    change(bundle / TEACHER)
    reseal(bundle)

    with pytest.raises(BadInputError) as caught:
        list(verify(bundle))

    assert str(caught.value).startswith(f"{bundle / TEACHER}: ")
    assert said in str(caught.value)


def test_a_changed_byte_of_the_teacher_is_named(bundle: Path) -> None:
    data = bytearray((bundle / TEACHER).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / TEACHER).write_bytes(data)

    with pytest.raises(BadInputError) as caught:
        list(verify(bundle))

    assert str(caught.value).startswith(f"{bundle / TEACHER}: not as written")


@pytest.mark.parametrize(("format", "carries"), [("huggingface", True), ("docker", False), ("mlflow", False)])
def test_what_serves_goes_without_the_teacher(format: str, carries: bool, bundle: Path, tmp_path: Path) -> None:
    out = package(bundle, format, tmp_path / "out")

    assert bool(list(out.rglob(TEACHER))) == carries
    if format != "mlflow":
        assert list(verify(out / "bundle" if format == "docker" else out))
