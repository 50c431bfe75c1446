"""Kills a run with SIGKILL five times at random moments of its trainings and compares what it ends with.

    python benchmarks/resume.py REFERENCE FOLDER [ARGUMENTS OF python -m compress all]

REFERENCE is the folder of a run with the same arguments that was never killed; FOLDER is new. On the default settings:
about 8 minutes on 2 cores.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Stage, and within how many seconds after its first finished epoch (or its restart, if it has one) the kill comes
KILLS = (("teacher", 30.0), ("teacher", 30.0), ("prune", 30.0), ("distill", 4.0), ("distill", 4.0))


def main() -> None:
    """Print whether the killed run ended with the same model files."""
    reference, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True)
    log = killed_run(folder, sys.argv[3:], KILLS, random.Random())
    expected, found = model_hashes(reference), model_hashes(folder)
    print(*(line for line in log.splitlines() if "goes on" in line or "done in" in line or "killed" in line), sep="\n")
    repeated = repeated_stages(log)
    same = sum(found.get(name) == digest for name, digest in expected.items())
    print(f"{same} of {len(expected)} model files equal byte for byte; stages done twice: {repeated or 'none'}")
    sys.exit(expected != found or bool(repeated))


def killed_run(
    folder: Path, arguments: Sequence[str], kills: Sequence[tuple[str, float]], chance: random.Random
) -> str:
    """Start `all` in a folder, kill it in each of the stages `kills`, then let it end; return all it printed.

    A kill comes a random time, at most as many seconds as `kills` says, after the stage has started and has a
    checkpoint. Raises `RuntimeError` where a stage was finished before its kill, or where the run fails.
    """
    log = ""
    for stage, longest_wait in kills:
        process, output = start(folder, arguments)
        work = folder / ".compress" / "work"
        while process.poll() is None and not (
            f"{stage}: starts" in output.read_text() and any(work.glob(f"{stage}-*/checkpoint/training.npz"))
        ):
            time.sleep(0.02)
        time.sleep(chance.uniform(0, longest_wait))
        process.send_signal(signal.SIGKILL)
        process.wait()
        log += output.read_text() + f"killed in {stage}\n"
        if f"{stage}: done" in output.read_text():
            raise RuntimeError(f"{stage} was finished before it could be killed:\n{log}")
    process, output = start(folder, arguments)
    if process.wait() != 0:
        raise RuntimeError(output.read_text())
    return log + output.read_text()


def start(folder: Path, arguments: Sequence[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run; return its process and the file that its output goes to."""
    log = folder / "log.txt"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "compress", "all", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output), log


def repeated_stages(log: str) -> list[str]:
    """Return the stages that were done more than once."""
    done = [line.partition(":")[0] for line in log.splitlines() if ": done in" in line]
    return sorted({stage for stage in done if done.count(stage) > 1})


def model_hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of every weights file and ONNX model that a run left in its workspace.

    Not of the bundle's model.onnx: which variant that is depends on measured times.
    """
    store = folder / ".compress" / "store"
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("*/*/*.npz", "*/*/*.onnx", "*/*/bundle/variants/*.onnx")
        for path in sorted(store.glob(pattern))
    }


if __name__ == "__main__":
    main()
