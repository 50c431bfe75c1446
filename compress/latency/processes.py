"""Measuring in new processes, which start with nothing loaded and cold caches.

Parent and child exchange JSON. The reply is a file: what Python prints when it starts or ends does not reach it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "reply.json"
        try:
            done = subprocess.run(
                [sys.executable, "-c", program, str(file)],
                input=json.dumps(asdict(request)),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=None if seconds is None else max(seconds, 0),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        text = file.read_text("utf-8") if file.exists() else ""
    if done.returncode or not text:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        values = ", ".join(map(str, asdict(request).values()))
        raise BadInputError(f"{values}: the process that should measure this ended with code {done.returncode}: {last}")
    reply = json.loads(text)
    if "error" in reply:
        raise {error.exit_code: error for error in (BadInputError, MachineError)}[reply["exit_code"]](reply["error"])
    return reply


def answer(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Read a request from standard input; write what `measure` returns for it, or its error and exit code, as JSON.

    The file to write is the process's argument.
    """
    try:
        reply = asdict(measure(json.load(sys.stdin)))
    except CompressError as error:
        reply = {"error": str(error), "exit_code": error.exit_code}
    Path(sys.argv[1]).write_text(json.dumps(reply), "utf-8")


def pin_to_idle_cores(threads: int) -> list[int]:
    """Pin this process to the `threads` least busy cores and return them; an empty list if the system cannot."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return []
    busy = dict(enumerate(psutil.cpu_percent(interval=0.1, percpu=True)))
    cores = sorted(process.cpu_affinity(), key=lambda core: busy.get(core, 0.0))[:threads]
    process.cpu_affinity(cores)
    return cores
