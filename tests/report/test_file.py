from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress import machine
from compress.errors import BadInputError
from compress.report import making
from compress.report.file import MAX_BYTES, read, to_text
from tests.report.examples import differing, report

TRAINING = {
    "name": "frozen",
    "precision": "float32",
    "history": [
        {
            "epoch": 1,
            "learning_rate": 0.1,
            "loss": 2.5,
            "validation_accuracy": 0.5,
            "validation_cross_entropy": 1.25,
        }
    ],
    "warnings": ["the loss rose"],
}


def plain() -> dict[str, Any]:
    return json.loads(to_text(report(student=differing(0.1, 0.5))))


def changed(path: str, value: Any) -> Callable[[], bytes]:
    """Return a report's bytes in which the value at a path of keys and indices is another."""

    def content() -> bytes:
        whole: Any = plain()
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        part = whole
        for key in parents:
            part = part[key]
        part[last] = value
        return json.dumps(whole).encode()

    return content


def without(*keys: str) -> Callable[[], bytes]:
    def content() -> bytes:
        whole = part = plain()
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]
        return json.dumps(whole).encode()

    return content


def text(old: str, new: bytes) -> Callable[[], bytes]:
    """Return a report's bytes in which a piece of its text is another."""

    def content() -> bytes:
        whole = to_text(report()).encode()
        assert old.encode() in whole
        return whole.replace(old.encode(), new, 1)

    return content


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    whole = report(classes=["a", "b|c", "ü\n"], student=differing(0.1, 0.5))
    (tmp_path / "report.json").write_bytes(to_text(whole).encode())

    assert read(tmp_path / "report.json") == whole


def test_keys_that_are_not_known_are_ignored(tmp_path: Path) -> None:
    whole = plain()
    for part in (whole, whole["run"], whole["run"]["host"], whole["models"][0], whole["models"][1]["test"]):
        part["added later"] = {"some": [None, 1]}
    (tmp_path / "report.json").write_text(json.dumps(whole))

    assert read(tmp_path / "report.json") == report(student=differing(0.1, 0.5))


def test_trainings_are_read_and_a_report_from_before_they_were_kept_has_none(tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text(json.dumps(plain() | {"training": {"teacher": [TRAINING]}}))
    (tmp_path / "old.json").write_bytes(without("training")())

    [training] = read(tmp_path / "new.json").training["teacher"]

    assert (training.name, training.precision, training.warnings) == ("frozen", "float32", ("the loss rose",))
    assert [(epoch.epoch, epoch.loss, epoch.validation_accuracy) for epoch in training.history] == [(1, 2.5, 0.5)]
    assert read(tmp_path / "old.json").training == {}


def test_the_host_in_the_report_is_all_that_is_known_of_the_machine() -> None:
    assert list(making.Host.model_fields) == list(machine.host())


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not JSON: EOF while parsing a value at line 1 column 0; should be a bundle's report.json"),
    "no JSON": (lambda: b"model.onnx", "not JSON: expected value at line 1 column 1; should be a bundle's report.json"),
    "half": (lambda: to_text(report()).encode()[:500], "not JSON: EOF while parsing "),
    "more behind it": (text('"schema": 1', b'"schema": 1}'), "not JSON: trailing characters at line 2 "),
    "too deep": (lambda: b"[" * 100_000, "not JSON: recursion limit exceeded at line 1 "),
    "too deep in a key to ignore": (text('"run"', b'"x": ' + b"[" * 100_000), "not JSON: recursion limit exceeded at "),
    "not UTF-8": (text("toy", b"\xff"), "not JSON: invalid unicode code point at line "),
    "UTF-16": (lambda: to_text(report()).encode("utf-16"), "not JSON: expected value at line 1 column 1; "),
    "a lone surrogate": (text("toy", rb"\ud800"), "not JSON: "),
    "a lone surrogate in a key": (text("numpy", rb"\udc00"), "not JSON: "),
    "a number of 5,000 digits": (text('"seed": 0', b'"seed": ' + b"9" * 5000), "not JSON: number out of range at "),
    "a list": (lambda: b"[1, 2]", "is [1, 2]; should be an object"),
    "null": (lambda: b"null", "is None; should be an object"),
    "another JSON file": (lambda: b'{"files": {}}', "schema: is missing; a report of schema 1 should have it"),
    "a later schema": (changed("schema", 2), "schema = 2: should be 1, the only one that this version reads"),
    "a schema in words": (changed("schema", "1"), "schema = '1': should be 1, the only one that this version reads"),
    "a missing key": (without("deployed"), "deployed: is missing; a report of schema 1 should have it"),
    "a missing key within": (
        without("run", "host", "cores"),
        "run.host.cores: is missing; a report of ",
    ),
    "a key with a Python name": (changed("balance/recall", [{}]), "balance.recall.0.class: is missing; a report of "),
    "a wrong type": (changed("run/name", 7), "run.name = 7: should be a valid string"),
    "a text for a number": (changed("run/seed", "0"), "run.seed = '0': should be a valid integer"),
    "a fraction for a count": (changed("run/n_test", 0.5), "run.n_test = 0.5: should be a valid integer"),
    "true for a count": (changed("run/n_test", True), "run.n_test = True: should be a valid integer"),
    "a negative count": (changed("models/0/macs", -1), "models.0.macs = -1: should be greater than or equal to 0"),
    "an object for a list": (changed("models", {"a": 1}), "models = {'a': 1}: should be a valid array"),
    "a list for an object": (changed("run", []), "run = []: should be an object"),
    "NaN": (changed("models/1/test/accuracy", float("nan")), "models.1.test.accuracy = nan: should be a finite number"),
    "infinity": (changed("models/1/test/log_loss", float("inf")), "models.1.test.log_loss = inf: should be a finite "),
    "an overflow": (text('"seconds": 1.0', b'"seconds": 1e999'), "stages.0.seconds = inf: should be a finite number"),
    "an accuracy of 200 %": (changed("models/0/test/accuracy", 2), "models.0.test.accuracy = 2: should be less than"),
    "an interval of one number": (
        changed("models/0/test/accuracy_ci95", [0.5]),
        "models.0.test.accuracy_ci95.1: is missing; a report of schema 1 should have it",
    ),
    "no time at all": (changed("models/0/latency/0/p50_ms", 0), "models.0.latency.0.p50_ms = 0: should be greater "),
    "no model": (changed("models", []), "models = []: Tuple should have at least 1 item"),
    "a model that was not measured": (
        changed("models/1/latency", []),
        "models.1: should have the latency of CPUExecutionProvider, threads 1, batch 1",
    ),
    "a deployed model that is not there": (
        changed("deployed", "x" * 1000),
        "deployed = 'xxx",
    ),
    "a training without history": (
        changed("training", {"a": [{"name": "b", "precision": "c"}]}),
        "training.a.0.history: is missing; ",
    ),
    "a class name of two lines": (
        changed("models/0/test/classes", {"a\nb\x1b[2J": 1}),
        "models.0.test.classes.a\\nb\\x1b[2J = 1: should be an object",
    ),
    "a long value": (changed("run/seed", "9" * 1000), f"run.seed = '{'9' * 59}: should be a valid integer"),
    "a long key": (changed("run/versions", {"k" * 1000: 1}), f"run.versions.{'k' * 187} = 1: should be a valid string"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_report_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, expected = BAD[name]
    path = tmp_path / "report.json"
    path.write_bytes(content())

    with pytest.raises(BadInputError) as error:
        read(path)

    assert str(error.value).startswith(f"{path}: {expected}")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400
    assert error.value.exit_code == 2


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
        with pytest.raises(BadInputError, match=r"pipe: is not a regular file; should be a bundle's report\.json"):
            read(tmp_path / "pipe")

    with pytest.raises(BadInputError, match=r"large: has 67,108,865 bytes, more than 67,108,864; should be"):
        read(tmp_path / "large")
    with pytest.raises(BadInputError, match=r"is not a regular file; should be a bundle's report\.json"):
        read(tmp_path)
    with pytest.raises(BadInputError, match=r"none: No such file or directory; should be a bundle's report\.json"):
        read(tmp_path / "none")
