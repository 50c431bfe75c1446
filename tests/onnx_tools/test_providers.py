from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from benchmarks.small_models import write_model
from compress.files import sha256_file
from compress.onnx_tools import providers
from compress.onnx_tools.providers import AZURE, CPU, CUDA, TENSORRT
from compress.onnx_tools.sessions import open_session


def test_only_providers_that_compute_on_this_machine_are_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, AZURE, "NewExecutionProvider", CPU])

    assert providers.available() == [CUDA, "NewExecutionProvider", CPU]


def test_tensorrt_keeps_its_engines_in_a_folder_of_the_model_and_others_need_no_options(tmp_path: Path) -> None:
    cache = tmp_path / "a {folder}"
    model = write_model(tmp_path / "m.onnx")

    options = providers.options(TENSORRT, cache, model)

    assert options == {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache / sha256_file(model))}
    assert Path(options["trt_engine_cache_path"]).is_dir()
    assert providers.options(CPU, cache, model) == providers.options("NewExecutionProvider", cache, model) == {}


def test_models_that_differ_in_their_weights_alone_share_no_engines(tmp_path: Path) -> None:
    model = onnx.load(write_model(tmp_path / "m.onnx"))
    kernel = model.graph.initializer[0]
    kernel.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(kernel), kernel.name))
    onnx.save(model, tmp_path / "other.onnx")

    folders = {
        providers.options(TENSORRT, tmp_path, tmp_path / name)["trt_engine_cache_path"]
        for name in ("m.onnx", "other.onnx")
    }

    assert len(folders) == 2


@pytest.mark.parametrize(("name", "preloaded"), [(CUDA, True), (TENSORRT, True), (CPU, False), ("NewProvider", False)])
def test_cudas_libraries_are_loaded_before_a_session_needs_them(
    name: str, preloaded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def preload() -> None:
        print("Failed to load libcufft.so")
        done.append("preload")

    monkeypatch.setattr("onnxruntime.preload_dlls", preload)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *arguments, **options: done.append("session"))
    providers.load_libraries.cache_clear()

    open_session(write_model(tmp_path / "m.onnx"), provider=name)

    assert done == ["preload", "session"] if preloaded else ["session"]
    assert capsys.readouterr().out == ""
    providers.load_libraries.cache_clear()


@pytest.mark.parametrize("name", ["cuda", "CUDA", "CUDAExecutionProvider", "cudaexecutionprovider"])
def test_a_provider_is_found_by_its_short_name_or_its_full_one_in_any_case(name: str) -> None:
    assert providers.by_short_name()[providers.short(name).lower()] == CUDA
