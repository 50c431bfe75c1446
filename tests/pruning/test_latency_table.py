from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress import networks
from compress.artifacts import Network
from compress.errors import BadInputError
from compress.graphs.costs import Cost, CostOf
from compress.graphs.groups import coupling_of
from compress.pruning import latency_table
from compress.pruning.latency_table import REST, LatencyTable
from compress.stages import prune
from compress.tensorflow import start_afresh
from students import plain

SHAPE, OPTIONS = (32, 32, 1), {"width": 16, "blocks": 2}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    start_afresh(0)
    weights = tmp_path_factory.mktemp("network") / "weights.npz"
    networks.save(plain.build(SHAPE, 3, width=16, blocks=2), weights)
    return Network("net", "teacher", "students", "plain", OPTIONS, SHAPE, 3, weights)


def test_times_are_interpolated_over_multiplications() -> None:
    table = LatencyTable({"a": ((100, 200), (1.0, 3.0)), "b": ((10, 20), (0.5, 0.7)), REST: ((110, 220), (0.0, 1.0))})

    assert table.seconds({"a": Cost(1, 150), "b": Cost(1, 15)}) == pytest.approx(2.0 + 0.6 + 0.5)
    assert table.seconds({"a": Cost(1, 200), "b": Cost(1, 20)}) == pytest.approx(3.0 + 0.7 + 1.0)


def test_each_layer_of_a_network_is_measured_at_several_widths(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_table, "SECONDS", 0.5)
    monkeypatch.setattr(latency_table, "WIDTHS", (0.5, 1.0))
    model = networks.load(network)
    coupling = coupling_of(model)
    cost_of = CostOf(model, coupling)

    latency_table.write(network, model, coupling, cost_of, 8, tmp_path / "table.json")

    table = latency_table.load(tmp_path / "table.json")
    whole = cost_of.by_layer(np.ones(coupling.count, bool))
    assert table.layers.keys() == {"block1_conv1", "block2_conv1", "logits", REST}
    for name, (macs, seconds) in table.layers.items():
        assert list(macs) == sorted(macs)
        assert len(macs) == len(seconds) == 2
        assert min(seconds) > 0
        assert macs[-1] == (whole[name].macs if name else sum(cost.macs for cost in whole.values()))
    assert list(tmp_path.iterdir()) == [tmp_path / "table.json"]


def test_a_profile_that_does_not_fit_the_network_is_not_guessed_from(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_table, "SECONDS", 0.1)
    monkeypatch.setattr(latency_table, "PRODUCTS", ("Gemm",))
    model = networks.load(network)
    coupling = coupling_of(model)

    with pytest.raises(BadInputError, match=r"times of 3 layers are not told apart .* which has [01]; should be macs"):
        latency_table.write(network, model, coupling, CostOf(model, coupling), 8, tmp_path / "table.json")


def test_only_a_target_of_latency_depends_on_the_machine() -> None:
    assert prune.Config(target_of="latency").measures_speed
    assert not prune.Config(target_of="macs").measures_speed
    assert not prune.Config(target_of="latency", method="magnitude").measures_speed
