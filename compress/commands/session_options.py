"""Options that describe the ONNX Runtime sessions in which models run."""

from __future__ import annotations

from compress.errors import BadInputError


def check_threads(threads: int) -> None:
    """Raise `BadInputError` unless this process may use as many cores as `threads`."""
    from compress import machine

    cores = machine.available_cores()
    if not 1 <= threads <= cores:
        raise BadInputError(f"--threads {threads}: should be 1 to {cores}, the cores that this process may use")


def provider_named(name: str) -> str:
    """Return the full name of an execution provider, given its full or short name (`cuda`) in any case.

    Raises `BadInputError` if onnxruntime does not know the provider.
    """
    from compress.onnx_tools.providers import by_short_name, short

    known = by_short_name()
    full = known.get(short(name).lower())
    if not full:
        raise BadInputError(f"--provider {name}: should be one of {', '.join(known)}")
    return full
