"""Measures how long the report takes for many classes and test images, how large its page is, and who can read it.

    python benchmarks/page.py [--classes 100] [--test 100000] [--axe BUNDLE]

Trains a small network for one epoch on noise with as many classes and test images, in a folder that is deleted
afterwards, and prints the seconds of the stage `report`, which scores every model and draws the page, and the page's
size. With --axe, only checks the page of a bundle with axe-core, which npm gets: in Chromium, in light and dark, at
1,280 and 390 pixels, with all details open; prints the violations. Takes some minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = (
    "recipe=none",
    "image.size=32",
    "train.precision=float32",
    "teacher.epochs=1",
    "teacher.architecture=vgg11",
    "teacher.architecture.options.width=0.125",
    "prune.epochs=1",
    "distill.epochs=1",
    "distill.views=1",
    "distill.student.options.width=4",
    "distill.student.options.blocks=3",
    "bench.seconds=0.5",
)
TRAIN = 40  # images of each class


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--test", type=int, default=100_000)
    parser.add_argument("--axe", type=Path, metavar="BUNDLE")
    arguments = parser.parse_args()
    if arguments.axe:
        violations(arguments.axe / "report.html")
        return
    with tempfile.TemporaryDirectory() as folder:
        seconds, size = measured(Path(folder), arguments.classes, arguments.test)
    print(f"{arguments.classes:,} classes, {arguments.test:,} test images: {seconds:.1f} s, {size / 1e6:.2f} MB")


def measured(folder: Path, classes: int, n_test: int) -> tuple[float, int]:
    """Return the seconds of the stage `report`, and the bytes of its page, of a run on noise in a folder."""
    splits = {"train": TRAIN * classes, "val": 10 * classes, "test": n_test}
    arrays: dict[str, Any] = {}
    for split, n in splits.items():
        rng = np.random.default_rng(n)
        arrays[f"x_{split}"] = rng.integers(0, 256, (n, 16, 16, 1), np.uint8)
        arrays[f"y_{split}"] = np.arange(n) % classes
    np.savez(folder / "noise.npz", **arrays)
    command = [sys.executable, "-m", "compress", "all", "--data", "noise.npz"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    [seconds] = re.findall(r"^report: done in ([\d.]+) s$", done.stdout, re.MULTILINE)
    return float(seconds), (folder / "exported" / "noise" / "report.html").stat().st_size


def violations(page: Path) -> None:
    """Print what axe-core finds wrong with a page."""
    os.environ["SE_AVOID_STATS"] = "true"  # selenium would tell its makers
    from selenium.webdriver import Chrome, ChromeOptions

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, "axe-core@4"], check=True)
        axe = (Path(folder) / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
    options = ChromeOptions()
    options.add_argument("--headless")
    options.add_argument("--no-sandbox")
    with Chrome(options) as browser:
        browser.set_script_timeout(120)
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
                browser.get(page.resolve().as_uri())
                browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
                browser.execute_script(axe)
                found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
                named = [
                    f"{each['id']} ({each['impact']}, {len(each['nodes'])} elements)" for each in found["violations"]
                ]
                print(f"{scheme}, {width} pixels: {len(found['passes'])} rules pass; {json.dumps(named)}")


if __name__ == "__main__":
    main()
