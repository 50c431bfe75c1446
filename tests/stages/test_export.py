from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from compress import networks
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.data.balance import Balance
from compress.errors import CompressError
from compress.stages import export, quantize
from compress.tensorflow import start_afresh


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_network_is_exported_in_fp32_and_as_whatever_was_made_of_it_each_under_the_name_that_its_row_states(
    network: Network, data: Dataset, notes: list[str], context: Context, tmp_path: Path
) -> None:
    made = [
        quantize.run(
            quantize.Config(images=5),
            Balance(),
            network,
            data,
            folder(tmp_path / f"of{name}"),
            replace(context, product=name),
        )
        for name in ("", "other")
    ]

    models = export.run(export.Config(), (network,), tuple(made), data, folder(tmp_path / "out"), context).models

    name = network.name
    assert [model.id for model in models] == [f"{name}-fp32", f"{name}-int8", "other-int8"]
    assert [model.file for model in models] == [tmp_path / "out" / f"{model.id}.onnx" for model in models]
    sources = (made[0].of("fp32"), made[0].of("int8"), made[1].of("int8"))
    assert [model.file.read_bytes() for model in models] == [source.file.read_bytes() for source in sources]
    assert [note.partition(" to ")[0] for note in notes[-1:]] == [f"here: {name}-fp32 equals Keras"]
    assert "equals" not in "".join(notes[:-1])


def test_two_networks_of_one_name_are_refused(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    with pytest.raises(CompressError, match=rf"{network.name}-fp32: two stages make it; .* should state a product"):
        export.run(export.Config(), (network, replace(network, stage="other")), (), data, tmp_path, context)


def test_a_network_that_a_later_stage_passes_on_is_exported_once(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    copied = Path(shutil.copy(network.weights, tmp_path / "weights.npz"))

    exported = export.run(export.Config(), (network, replace(network, weights=copied)), (), data, tmp_path, context)

    assert [model.id for model in exported.models] == [f"{network.name}-fp32"]


def test_an_onnx_model_that_is_not_its_network_is_refused(
    network: Network, data: Dataset, context: Context, tmp_path: Path
) -> None:
    start_afresh(1)
    other = replace(network, weights=tmp_path / "weights.npz")
    networks.save(networks.build("students", "plain", network.options, network.image_shape, 3), other.weights)
    made = quantize.run(quantize.Config(images=5), Balance(), other, data, folder(tmp_path / "of"), context)

    with pytest.raises(CompressError, match=rf"{network.name}-fp32: logits differ from Keras by "):
        export.run(export.Config(), (network,), (made,), data, folder(tmp_path / "out"), context)
