"""Measurement of the time and memory that a stage takes."""

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
SAVE_EVERY = 10  # samples


@contextmanager
def measured(path: Path) -> Iterator[dict[str, Any]]:
    """Measure the code inside: yields a dict of `seconds` and `peak_rss_bytes`, complete once that code has ended.

    The peak is that of the memory held by this process and its children together. Both numbers are saved to `path`
    as they grow, so that a stage that was killed and then resumed counts all its time. Memory is sampled, because the
    operating system's high-water mark cannot be reset between two stages of one process.
    """
    import psutil

    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = {"seconds": 0.0, "peak_rss_bytes": 0}
    process, done, start = psutil.Process(), threading.Event(), time.perf_counter()
    gc.collect()
    usage = dict(before)
    children: list[psutil.Process] = []

    def sample() -> None:
        usage["seconds"] = round(before["seconds"] + time.perf_counter() - start, 3)
        held = process.memory_info().rss
        for child in children:
            with contextlib.suppress(psutil.Error):  # the child has ended meanwhile
                held += child.memory_info().rss
        usage["peak_rss_bytes"] = max(usage["peak_rss_bytes"], held)

    def sample_until_done() -> None:
        for n in itertools.count():
            sample()
            if n % SAVE_EVERY == 0:
                children[:] = process.children(recursive=True)  # slow: looks at all processes of the machine
                with contextlib.suppress(OSError):  # if the disk is full, the stage itself will report it
                    path.write_text(json.dumps(usage))
            if done.wait(SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=sample_until_done, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        done.set()
        thread.join()
        sample()
