"""Measuring in processes of their own, which start with nothing loaded and nothing warm. They speak JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from compress.errors import BadInputError, CompressError, MachineError

# The child takes this very package, whatever lies in the folder in which it starts
PROGRAM = "import sys; sys.path[0] = {root!r}; from {module} import main; main()"


def ask(module: str, request: Any, seconds: float | None = None) -> dict[str, Any] | None:
    """Return what `main` of a module answers, in a new process, to a request (a dataclass of plain values).

    None where it would take longer than `seconds`. Raises what the process raised, and `BadInputError` where it died.
    """
    program = PROGRAM.format(root=str(Path(str(resources.files("compress"))).parent), module=module)
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
        asked = ", ".join(map(str, asdict(request).values()))
        raise BadInputError(f"{asked}: the process that should measure this ended with code {done.returncode}: {last}")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise {error.exit_code: error for error in (BadInputError, MachineError)}[answer["exit_code"]](answer["error"])
    return answer


def answer(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Answer the request on standard input: the dataclass that `measure` returns, or its error and the exit code."""
    try:
        answer = asdict(measure(json.load(sys.stdin)))
    except CompressError as error:
        answer = {"error": str(error), "exit_code": error.exit_code}
    print(json.dumps(answer))
