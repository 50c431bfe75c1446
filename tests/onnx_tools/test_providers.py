from __future__ import annotations

from pathlib import Path

import pytest

from compress.onnx_tools import providers
from compress.onnx_tools.providers import AZURE, CPU, CUDA, TENSORRT


def test_only_providers_that_compute_on_this_machine_are_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, AZURE, "NewExecutionProvider", CPU])

    assert providers.available() == [CUDA, "NewExecutionProvider", CPU]


def test_tensorrt_keeps_its_engines_in_the_folder_and_others_need_no_options() -> None:
    cache = Path("a {folder}")

    assert providers.options(TENSORRT, cache) == {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "a {folder}",
    }
    assert providers.options(CPU, cache) == providers.options("NewExecutionProvider", cache) == {}


@pytest.mark.parametrize("name", ["cuda", "CUDA", "CUDAExecutionProvider", "cudaexecutionprovider"])
def test_a_provider_is_found_by_its_short_name_or_its_full_one_in_any_case(name: str) -> None:
    assert providers.by_short_name()[providers.short(name).lower()] == CUDA
