"""Options that describe the ONNX Runtime sessions in which models run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from compress.errors import BadInputError


def check_threads(counts: Sequence[int]) -> None:
    """Raise `BadInputError` unless this process may use as many cores as each of the numbers of threads."""
    from compress import machine

    cores, quota = machine.available_cores(), machine.cpu_quota()
    if quota is not None and quota < 1:
        print(f"the CPU quota of this cgroup is {quota:g} of a core: one thread, stopped now and then", file=sys.stderr)
    for threads in counts:
        if 1 <= threads <= cores:
            continue
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
