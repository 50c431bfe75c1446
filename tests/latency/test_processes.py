from __future__ import annotations

import psutil
import pytest

from compress.latency.processes import pin_to_idle_cores


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system does not pin processes")
def test_a_process_stays_on_as_many_cores_as_it_has_threads() -> None:
    before = psutil.Process().cpu_affinity()
    try:
        cores = pin_to_idle_cores(1)
        assert len(cores) == 1
        assert psutil.Process().cpu_affinity() == cores
    finally:
        psutil.Process().cpu_affinity(before)
