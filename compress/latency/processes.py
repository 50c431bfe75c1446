"""Measuring in new processes, which start with nothing loaded and cold caches. Parent and child exchange JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from compress.errors import BadInputError, CompressError, MachineError

# Makes the child import this package, even if it starts in a folder that holds another `compress`
ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.path[0] = {root!r}; from {module} import main; main()"


def run_in_new_process(module: str, request: Any, seconds: float | None = None) -> dict[str, Any] | None:
    """Run a module's `main` in a new process on a request, a dataclass of plain values; return its reply.

    Returns None if that takes longer than `seconds`. Raises what the process raised, and `BadInputError` if it died.
    """
    program = PROGRAM.format(root=str(ROOT), module=module)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(asdict(request)),
            capture_output=True,
            text=True,
            timeout=None if seconds is None else max(seconds, 0),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        values = ", ".join(map(str, asdict(request).values()))
        raise BadInputError(f"{values}: the process that should measure this ended with code {done.returncode}: {last}")
    reply = json.loads(done.stdout)
    if "error" in reply:
        raise {error.exit_code: error for error in (BadInputError, MachineError)}[reply["exit_code"]](reply["error"])
    return reply


def answer(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Read a request from standard input; print what `measure` returns for it, or its error and exit code, as JSON."""
    try:
        reply = asdict(measure(json.load(sys.stdin)))
    except CompressError as error:
        reply = {"error": str(error), "exit_code": error.exit_code}
    print(json.dumps(reply))


def pin_to_idle_cores(threads: int) -> list[int]:
    """Pin this process to the `threads` least busy cores and return them; an empty list if the system cannot."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return []
    busy = dict(enumerate(psutil.cpu_percent(interval=0.1, percpu=True)))
    cores = sorted(process.cpu_affinity(), key=lambda core: busy.get(core, 0.0))[:threads]
    process.cpu_affinity(cores)
    return cores
