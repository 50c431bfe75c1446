"""Processes that train together, on loopback: whole runs, and one that is killed. And what a cluster cannot be."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import machine
from compress.config import load
from compress.errors import BadInputError
from compress.tensorflow import tf
from compress.training import distribution
from compress.training.cluster import cluster_of
from compress.training.settings import Strategy
from tests.conftest import REPOSITORY, run_main

SMALL = """
workspace = "run"
[train]
precision = "float32"
[data]
source = "images.npz"
[teacher]
epochs = 3
batch_size = 16
learning_rate = 0.01
schedule = { shape = "wsd" }  # the chief decides when the rate falls
architecture = { name = "vgg11", options = { width = 0.05, batch_norm = false } }
# Nothing moves: each process would compile that anew. With flips given, the recipe tries nothing
augmentation = { flip = "none", shift = 0, rotation = 0, zoom = 0, brightness = 0.2 }
[prune]
epochs = 2
batch_size = 16
learning_rate = 0.01
augmentation = { flip = "none", shift = 0, rotation = 0, zoom = 0, brightness = 0.2 }
[distill]
epochs = 1
views = 2
augmentation = { flip = "none", shift = 0, rotation = 0, zoom = 0, brightness = 0.2 }
student = { options = { width = 4, blocks = 2 } }
[quantize]
images = 16
[bench]
seconds = 0.1
batches = [1]
"""
MAX_SECONDS = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of two classes, bright on the left or on the right; the batches of training are of uneven sizes."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, n in (("train", 97), ("val", 30), ("test", 30)):
        labels = np.arange(n) % 2
        images = random.integers(0, 100, (n, 32, 32), np.uint8)
        for i, label in enumerate(labels):
            images[i, :, 16 * label : 16 * label + 16] += 100
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez(tmp_path / "images.npz", **arrays)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def addresses(**counts: int) -> dict[str, list[str]]:
    """Return a cluster of free ports of this machine."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(sum(counts.values()))]
        for one in free:
            one.bind(("127.0.0.1", 0))
        names = iter(f"127.0.0.1:{one.getsockname()[1]}" for one in free)
        return {kind: [next(names) for _ in range(count)] for kind, count in counts.items()}


def task(
    folder: Path, cluster: dict[str, list[str]], kind: str, index: int, *options: str, up_to: str = "all"
) -> subprocess.Popen[bytes]:
    """Start one process of a cluster; what it prints goes to a file of its name."""
    config = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CONFIG": config, "TF_NUM_INTRAOP_THREADS": "1"}
    command = [sys.executable, "-m", "compress", up_to, "--config", "small.toml", *options]
    with (folder / f"{kind}{index}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


@contextmanager
def ended(tasks: dict[str, subprocess.Popen[bytes]]) -> Iterator[None]:
    """Kill what still runs at the end: a process that waits for its peers ignores milder signals."""
    try:
        yield
    finally:
        for process in tasks.values():
            process.kill()


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def log(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text()


def losses(workspace: Path, stage: str) -> list[float]:
    [file] = (workspace / "logs").glob(f"{stage}-*/training/history.csv")
    return [float(row["loss"]) for row in csv.DictReader(file.read_text().splitlines())]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_two_workers_train_what_one_process_would_even_if_one_is_killed_and_comes_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = addresses(worker=2)
    strategy = ("--set", "train.strategy=multi_worker")
    tasks = {f"worker{i}": task(folder, cluster, "worker", i, *strategy) for i in range(2)}
    with ended(tasks):
        wait_for(lambda: list(folder.glob("run/work/teacher-*/checkpoint/training.npz")), "no epoch was finished")
        tasks["worker1"].kill()
        tasks["worker1"].wait()
        tasks["worker1"] = task(folder, cluster, "worker", 1, *strategy)
        for name, process in tasks.items():
            assert process.wait(MAX_SECONDS) == 0, log(folder, name)
    alone = run_main(monkeypatch, folder, "teacher", "--config", "small.toml", "--set", "workspace=alone")
    assert alone == 0, capsys.readouterr().err

    assert "another process of the cluster is gone" in log(folder, "worker0")
    assert "starts again, and goes on from the last checkpoint" in log(folder, "worker0")
    assert "teacher: goes on after epoch" in log(folder, "worker0")
    falls = "teacher: 3 epochs are the most there may be: the rate falls from epoch 3 on, 1 more epoch"
    assert falls in log(folder, "worker0")
    assert falls not in log(folder, "worker1")
    assert "bundle: exported/images/" in log(folder, "worker0")
    assert "bundle" not in log(folder, "worker1")
    assert (folder / "exported" / "images" / "model.onnx").exists()
    np.testing.assert_allclose(
        losses(folder / "run", "teacher"), losses(folder / "alone", "teacher"), rtol=0, atol=1e-5
    )


def test_chief_workers_and_a_parameter_server_train_to_the_exact_sparsity(folder: Path) -> None:
    cluster = addresses(chief=1, ps=1, worker=2)
    strategy = ("--set", "train.strategy=parameter_server", "--set", "prune.method=both")
    kinds = [("chief", 0), ("ps", 0), ("worker", 0), ("worker", 1)]
    tasks = {f"{kind}{i}": task(folder, cluster, kind, i, *strategy, up_to="prune") for kind, i in kinds}
    with ended(tasks):
        for name, process in tasks.items():
            assert process.wait(MAX_SECONDS) == 0, log(folder, name)

    assert "3 stages, 0 of them finished before" in log(folder, "chief0")
    assert len(losses(folder / "run", "teacher")) == 3
    [file] = (folder / "run" / "store" / "prune").glob("*/weights.npz")
    kernels = [array for array in np.load(file).values() if array.ndim > 1]
    assert kernels
    for kernel in kernels:
        assert np.count_nonzero(kernel) == max(1, math.floor(round(0.2 * kernel.size, 6)))


WORKERS = {"worker": ["a:1", "b:1"]}


def tf_config(cluster: Any = WORKERS, kind: Any = "worker", index: Any = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    ("strategy", "environment", "said"),
    [
        ("multi_worker", {}, "train.strategy = 'multi_worker': TF_CONFIG is not set, nor are Slurm's variables"),
        ("multi_worker", {"TF_CONFIG": "{"}, 'TF_CONFIG: is not JSON; should be like {"cluster"'),
        ("multi_worker", {"TF_CONFIG": "[]"}, "TF_CONFIG: "),
        ("multi_worker", {"TF_CONFIG": "{}"}, "TF_CONFIG: cluster: Field required"),
        ("multi_worker", tf_config(index=2), "TF_CONFIG: task worker 2 is out of range; the cluster has 2 worker"),
        ("multi_worker", tf_config(index=-1), "TF_CONFIG: task worker -1 is out of range"),
        ("multi_worker", tf_config(index="0"), "TF_CONFIG: task.index: Input should be a valid integer"),
        ("multi_worker", tf_config(kind="ps"), "TF_CONFIG: task ps 0 is out of range"),
        ("multi_worker", tf_config({"worker": ["a"]}), "TF_CONFIG: address 'a': should be host:port"),
        ("multi_worker", tf_config({"worker": "a:1"}), "TF_CONFIG: cluster.worker: Input should be a valid array"),
        ("multi_worker", tf_config({**WORKERS, "ps": ["c:1"]}), "the cluster has ps; should have chief, worker"),
        ("parameter_server", tf_config(), "the cluster has no chief; should have chief, worker, ps"),
        ("parameter_server", tf_config({"chief": ["c:1"], **WORKERS, "ps": []}), "the cluster has no ps"),
        ("multi_worker", tf_config({"chief": ["c:1", "d:1"], **WORKERS}), "the cluster has 2 chiefs"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_with_one_line(
    strategy: Strategy, environment: Mapping[str, str], said: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        cluster_of(strategy, environment)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_float16_with_a_parameter_server_is_refused_while_settings_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device_class", lambda: "gpu")

    with pytest.raises(BadInputError, match=r"train.* 'float16': should be float32 or auto with parameter_server$"):
        load(assignments=["train.strategy=parameter_server", "train.precision=float16"])


def test_the_first_worker_is_the_chief_unless_there_is_one() -> None:
    alone = [cluster_of("multi_worker", tf_config(index=index)) for index in (0, 1)]
    assert [cluster.is_chief for cluster in alone if cluster] == [True, False]
    with_chief = cluster_of("multi_worker", tf_config({"chief": ["c:1"], **WORKERS}))
    assert with_chief
    assert not with_chief.is_chief
    assert with_chief.chief_address == "c:1"


def test_mirrored_without_two_gpus_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])

    settings = ("train.strategy=mirrored", "train.precision=float32", "recipe=none")
    arguments = [part for setting in settings for part in ("--set", setting)]
    assert run_main(monkeypatch, tmp_path, "teacher", *arguments) == 2
    assert capsys.readouterr().err == (
        "error: train.strategy = 'mirrored': needs two GPUs, this machine has 0; should be 'none'\n"
    )


@pytest.mark.parametrize("replicas", [2, 3, 8])
def test_parts_of_a_batch_are_equal_and_filled_up_with_its_rows_at_weight_0(replicas: int) -> None:
    values, weights = tf.range(5.0), tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])

    parts = list(distribution._parts((values, values, weights), range(replicas), replicas))

    assert len({len(part) for part, _, _ in parts}) == 1
    rows = [(float(value), float(weight)) for part, _, own in parts for value, weight in zip(part, own, strict=True)]
    assert sorted(row for row in rows if row[1]) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert {value for value, weight in rows if not weight} <= set(range(5))
