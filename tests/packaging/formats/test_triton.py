from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from compress.packaging.package import package
from tests.conftest import Run

TOKEN = re.compile(r'#.*|"[^"\n]*"|[\w.-]+|[:{}\[\],]')


def test_the_configuration_says_what_the_model_takes_and_gives(tiny_run: Run, tmp_path: Path) -> None:
    folder = package(tiny_run.bundle, "triton", tmp_path / "repository") / "digits"

    config = parsed((folder / "config.pbtxt").read_text())
    assert (config["name"], config["backend"]) == (['"digits"'], ['"onnxruntime"'])
    [[image]] = config["input"]
    assert image == {"name": ['"image"'], "data_type": ["TYPE_UINT8"], "dims": [["32", "32", "1"]]}
    [outputs] = config["output"]
    assert [output["name"] for output in outputs] == [['"logits"'], ['"probabilities"']]
    assert all(output["dims"] == [["10"]] and output["data_type"] == ["TYPE_FP32"] for output in outputs)
    assert [output.get("label_filename") for output in outputs] == [None, ['"labels.txt"']]
    [warmup] = config["model_warmup"]
    assert [sample["batch_size"] for sample in warmup] == [["1"], config["max_batch_size"]]
    assert config["dynamic_batching"] == [{}]
    assert (folder / "1" / "model.onnx").read_bytes() == (tiny_run.bundle / "model.onnx").read_bytes()
    assert (folder / "labels.txt").read_text().splitlines() == [str(i) for i in range(10)]


def parsed(text: str) -> dict[str, list[Any]]:
    """Return the fields of a message in protobuf's text format, each with all its values."""
    tokens = [token for token in TOKEN.findall(text) if token not in ":," and not token.startswith("#")]

    def value() -> Any:
        token = tokens.pop(0)
        if token not in "{[":
            return token
        return message("}") if token == "{" else several()

    def several() -> list[Any]:
        values = []
        while tokens[0] != "]":
            values.append(value())
        tokens.pop(0)
        return values

    def message(end: str) -> dict[str, list[Any]]:
        fields: dict[str, list[Any]] = {}
        while tokens and tokens[0] != end:
            fields.setdefault(tokens.pop(0), []).append(value())
        if end:
            tokens.pop(0)
        return fields

    fields = message("")
    assert not tokens
    return fields
