"""Measuring in new processes, which start with nothing loaded and nothing warm. Parent and child speak JSON."""

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

# The child imports this very package, whatever lies in the folder in which it starts
ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.path[0] = {root!r}; from {module} import main; main()"


def run_in_new_process(module: str, request: Any, seconds: float | None = None) -> dict[str, Any] | None:
    """Return the answer of a module's `main`, in a new process, to a request (a dataclass of plain values).

    None if it would take longer than `seconds`. Raises what the process raised, and `BadInputError` if it died.
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
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        values = ", ".join(map(str, asdict(request).values()))
        raise BadInputError(f"{values}: the process that should measure this ended with code {done.returncode}: {last}")
    reply = json.loads(done.stdout)
    if "error" in reply:
        raise {error.exit_code: error for error in (BadInputError, MachineError)}[reply["exit_code"]](reply["error"])
    return reply


def answer(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Answer the request on standard input: the dataclass that `measure` returns, or its error and the exit code."""
    try:
        reply = asdict(measure(json.load(sys.stdin)))
    except CompressError as error:
        reply = {"error": str(error), "exit_code": error.exit_code}
    print(json.dumps(reply))


def pin_to_idle_cores(threads: int) -> list[int]:
    """Keep this process on the least busy cores, as many as `threads`; return them, none if the system cannot."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return []
    busy = dict(enumerate(psutil.cpu_percent(interval=0.1, percpu=True)))
    cores = sorted(process.cpu_affinity(), key=lambda core: busy.get(core, 0.0))[:threads]
    process.cpu_affinity(cores)
    return cores
