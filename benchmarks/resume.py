"""Kills a run five times with SIGKILL, at random moments of its trainings, and compares its final models.

    python benchmarks/resume.py REFERENCE FOLDER [ARGUMENTS OF python -m compress all]

REFERENCE is the folder of a run with the same arguments that was never killed; FOLDER must not exist. With the default
settings it takes about 5 minutes on 2 cores. The teacher is killed at a constant rate, when it has been decided that
the rate falls, and while it falls, so its schedule has to be wsd, as the recipe has it.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Stages to kill, a pattern that has to have been printed, and the most seconds until then, from then and the first
# finished epoch
KILLS = (
    ("teacher", "of at most", 5.0),
    ("teacher", "the rate falls", 0.2),
    ("teacher", r"epoch \d+/", 5.0),
    ("prune", "", 5.0),
    ("distill", "", 0.5),
)


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
    folder: Path, arguments: Sequence[str], kills: Sequence[tuple[str, str, float]], chance: random.Random
) -> str:
    """Run `all` in a folder, kill it once for each stage in `kills`, then let it finish; return all that it printed.

    A kill comes after the stage has started, has a checkpoint and something is printed that `kills` states, at a random
    time within its seconds. Raises `RuntimeError` if a stage finishes before its kill or if the run fails.
    """
    log = ""
    for stage, said, longest_wait in kills:
        process, output = start(folder, arguments)
        work = folder / ".compress" / "work"
        while process.poll() is None and not (
            f"{stage}: starts" in output.read_text()
            and re.search(said, output.read_text())
            and any(work.glob(f"{stage}-*/checkpoint/*.npz"))
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
    """Start a run; return its process and the file to which it prints."""
    log = folder / "log.txt"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "compress", "all", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output), log


def repeated_stages(log: str) -> list[str]:
    """Return the stages that were run to their end more than once."""
    done = [line.partition(":")[0] for line in log.splitlines() if ": done in" in line]
    return sorted({stage for stage in done if done.count(stage) > 1})


def model_hashes(folder: Path) -> dict[str, str]:
    """Return `{path: sha256}` of every weights file and ONNX model that a run left in its workspace.

    The bundle's model.onnx is left out: which variant it is depends on measured times.
    """
    store = folder / ".compress" / "store"
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("*/*/*.npz", "*/*/*.onnx", "*/*/bundle/variants/*.onnx")
        for path in sorted(store.glob(pattern))
    }


if __name__ == "__main__":
    main()
