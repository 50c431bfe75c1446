"""Opening ONNX files. External data and custom operators are never loaded: the bytes of one file are all there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from compress.onnx_tools.providers import CPU, load_libraries

QUIET = 4  # only what ends the process: all else that goes wrong is raised, and said in one line


def open_session(file: Path, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` of a file; the options are those of `session_of`."""
    return session_of(file.read_bytes(), **options)


def session_of(
    model: bytes,
    *,
    threads: int = 0,
    provider: str = CPU,
    spinning: bool = True,
    provider_options: Mapping[str, str] | None = None,
    profile: Path | None = None,
) -> Any:
    """Return an `onnxruntime.InferenceSession` that runs every node of a model on `provider`.

    `threads` 0 means one for each core. On another provider than the CPU, a model of which a node would fall back to
    the CPU raises onnxruntime's error instead of running half there. Without `spinning`, idle threads sleep, so that
    several sessions of one process do not disturb each other. With `profile`, a path's beginning, the session notes
    each node's runs in a file that `end_profiling` names.
    """
    onnxruntime.set_default_logger_severity(QUIET)  # a provider's libraries write there
    load_libraries(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    providers = [(provider, dict(provider_options or {}))]
    # enable_fallback: else a provider that fails, here or in a later run, is replaced by another, with a print
    return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
