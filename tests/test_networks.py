from __future__ import annotations

from pathlib import Path

import pytest

from compress import networks
from compress.artifacts import Network


def test_widths_that_a_network_cannot_be_cut_to_yet_are_not_ignored(tmp_path: Path) -> None:
    shape = (32, 32, 1)
    network = Network("narrow", "s", "students", "plain", {}, shape, 10, tmp_path, widths={"block1_conv1": 4})

    with pytest.raises(NotImplementedError, match=r"narrow: no network is cut to widths yet: .*block1_conv1"):
        networks.load(network)
