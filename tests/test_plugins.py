from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from compress import config
from compress.plugins import modules_of
from compress.stages.distill import Student
from compress.toml import to_toml


class Settings(BaseModel):
    first: Student = Student()
    others: tuple[Student, ...] = ()


def loaded(*assignments: str, file: Path | None = None) -> Any:
    return config.load(file, assignments=assignments)


def test_a_name_alone_is_a_choice_without_options() -> None:
    assert loaded("distill.student=plain").distill.student == Student(name="plain")


def test_options_alone_are_of_the_default() -> None:
    student = loaded("distill.student.options.width=16").distill.student

    assert (student.name, student.options) == ("plain", {"width": 16})


def test_options_that_are_set_are_of_the_plugin_that_a_file_names(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('teacher.architecture = "vgg11"\n')

    teacher = loaded("teacher.architecture.options.width=0.5", file=file).teacher.architecture

    assert (teacher.name, teacher.options) == ("vgg11", {"width": 0.5})


def test_a_name_that_is_set_leaves_the_options_of_another_behind(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("distill.student = { options = { width = 16 } }\n")

    assert loaded("distill.student=plain", file=file).distill.student.options == {}


def test_a_choice_gives_its_plugins_module_and_its_function_with_the_options() -> None:
    student = Student(options={"blocks": 4, "width": 2})

    assert student.module.__name__ == "students.plain"
    with pytest.raises(ValueError, match="4 blocks need images of 16 pixels"):
        student.function((8, 8, 1), 10)


def test_what_settings_choose_is_found_in_whatever_depth() -> None:
    class Outer(BaseModel):
        inner: Settings = Settings(others=(Student(),))

    assert modules_of(Outer()) == ["students.plain", "students.plain"]


def test_two_choices_of_the_same_are_equal() -> None:
    assert Settings(first="plain") == Settings(first={"name": "plain", "options": {}}) == Settings()


@pytest.mark.parametrize("chosen", ['"plain"', '{ name = "plain", options = { width = 16 } }'])
def test_a_choice_is_written_as_it_is_read(chosen: str, tmp_path: Path) -> None:
    once = loaded(f"distill.student={chosen}")
    (tmp_path / "printed.toml").write_text(to_toml(once))

    assert loaded(file=tmp_path / "printed.toml") == once


def test_a_message_about_an_option_names_where_it_was_set(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("distill.student = { options = { width = 16 } }\n")

    with pytest.raises(config.BadInputError, match=r"^--set distill\.student\.options\.blocks=0: distill\.student"):
        loaded("distill.student.options.blocks=0", file=file)
