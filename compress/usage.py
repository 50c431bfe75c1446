"""What running something takes: seconds and memory."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.1
KEPT_EVERY = 10  # samples


@contextmanager
def measured(path: Path) -> Iterator[dict[str, Any]]:
    """Measure what runs inside: `seconds`, and `peak_rss_bytes`, the most memory that this process held meanwhile,
    with those that it has started.

    Both are kept in a file while it runs, so that a stage which was killed and goes on counts all its time. Memory is
    sampled, since the system's own high-water mark cannot be set back between two stages of one process.
    """
    import psutil

    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = {"seconds": 0.0, "peak_rss_bytes": 0}
    process, done, start = psutil.Process(), threading.Event(), time.perf_counter()
    gc.collect()
    taken = dict(before)
    children: list[psutil.Process] = []

    def sample() -> None:
        taken["seconds"] = round(before["seconds"] + time.perf_counter() - start, 3)
        held = process.memory_info().rss
        for child in children:
            with contextlib.suppress(psutil.Error):  # it has ended since
                held += child.memory_info().rss
        taken["peak_rss_bytes"] = max(taken["peak_rss_bytes"], held)

    def keep_sampling() -> None:
        for n in itertools.count():
            sample()
            if n % KEPT_EVERY == 0:
                children[:] = process.children(recursive=True)  # slow: asks for all processes of the machine
                with contextlib.suppress(OSError):  # a full disk is the stage's own to report
                    path.write_text(json.dumps(taken))
            if done.wait(SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=keep_sampling, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()
        sample()
