from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.arrays import load_arrays
from compress.bundle.manifest import read_manifest
from compress.errors import MachineError
from compress.packaging.formats.docker import NEEDED, requirements
from compress.packaging.package import package
from tests.conftest import Run

ABSENT = ("tensorflow", "tf_keras", "tf2onnx", "sklearn", "scipy", "h5py", "jinja2", "psutil", "zstandard", "filelock")
WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')))\nfrom compress import cli\ncli.main()"
)


def test_what_the_image_copies_classifies_and_verifies_with_what_it_installs(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")
    golden = load_arrays(tiny_run.bundle / "golden.npz")
    Image.fromarray(golden["images"][0][..., 0]).save(tmp_path / "one.png")

    def said(*arguments: str) -> str:
        command = [sys.executable, "-c", WITHOUT, ",".join(ABSENT), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(out / "app")}
        return subprocess.check_output(command, cwd=out / "app", env=environment, text=True)

    answer = said("predict", "../bundle", str(tmp_path / "one.png"))
    assert answer.split("\t")[1].split()[0] == str(np.argmax(golden["logits"][0]))
    assert said("verify", "../bundle").endswith("verified\n")


def test_the_health_check_asks_no_proxy(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")
    [line] = [line for line in (out / "Dockerfile").read_text().splitlines() if '"-c"' in line and "urllib" in line]
    code = json.loads(line.strip().removeprefix("CMD "))[2]

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        code = code.replace("8080", str(server.server_port))
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        thread.join()


def test_the_package_in_the_image_knows_its_version(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")

    [found] = importlib.metadata.distributions(name="compress", path=[str(out / "app")])
    assert found.version == importlib.metadata.version("compress")


def test_a_package_that_is_not_installed_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.requires", requires)
    with pytest.raises(MachineError, match="is not installed here"):
        requirements()


def test_the_requirements_are_those_of_serving_with_the_packages_own_bounds(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")

    lines = (out / "requirements.txt").read_text().splitlines()
    assert {re.split(r"[^\w-]", line)[0] for line in lines} >= set(NEEDED)
    assert all("<" in line and "extra" not in line for line in lines)
    assert not [line for line in lines if line.startswith(("tensorflow", "scikit", "scipy", "h5py"))]


def test_the_image_copies_what_is_there_and_runs_as_nobody(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "docker", tmp_path / "context")

    steps = [line.split() for line in (out / "Dockerfile").read_text().splitlines()]
    copied = [step[-2] for step in steps if step[:1] == ["COPY"]]
    assert copied == ["requirements.txt", "app", "bundle"]
    assert all((out / name).exists() for name in copied)
    assert {f"!{name}" for name in copied} < set((out / ".dockerignore").read_text().splitlines())
    assert ["USER", "10001:10001"] in steps
    python = ".".join(read_manifest(tiny_run.bundle)["versions"]["python"].split(".")[:2])
    assert ["FROM", f"python:{python}-slim"] in steps
    assert not list(out.rglob("__pycache__"))
