"""How long each layer of a network takes at each width: measured in ONNX Runtime, on this machine.

Networks of several uniform widths are built and profiled, so that each layer runs between those around it, on caches as
they leave them. Between these widths a layer's time is interpolated over its multiplications. With such a table, widths
are chosen by the time that they save, not by multiplications: Yang et al., "NetAdapt: Platform-Aware Neural Network
Adaptation for Mobile Applications" (2018).
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compress import networks
from compress.artifacts import Network, OnnxModel
from compress.errors import BadInputError
from compress.files import write_file
from compress.graphs.costs import Cost, CostOf
from compress.graphs.coupling import Coupling
from compress.graphs.surgery import narrowed, widths_of
from compress.metrics.cost import cost_of_onnx
from compress.onnx_tools.convert import to_onnx
from compress.onnx_tools.sessions import open_session
from compress.onnx_tools.signature import INPUT
from compress.pruning.effort import SECONDS, WIDTHS
from compress.pruning.widths import rounded

THREADS = 1
MOST_CALLS = 400  # of each network: a profile grows with every call
CALLS = 10  # of one network after the other, in turns, so that other load affects all of them
PRODUCTS = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")  # in ONNX Runtime's profile
REST = ""  # in place of a layer's name: everything that multiplies nothing


class LatencyTable(NamedTuple):
    """For each layer, and for the rest: multiplications, ascending, and the seconds that they take."""

    layers: Mapping[str, tuple[Sequence[float], Sequence[float]]]

    def seconds(self, costs: Mapping[str, Cost]) -> float:
        """Return how long a network takes whose layers have these costs."""
        macs = {name: cost.macs for name, cost in costs.items()} | {REST: sum(cost.macs for cost in costs.values())}
        return sum(float(np.interp(macs[name], *measured)) for name, measured in self.layers.items())


def load(file: Path) -> LatencyTable:
    """Return the table that `write` wrote."""
    return LatencyTable(json.loads(file.read_text("utf-8")))


def write(network: Network, model: Any, coupling: Coupling, cost_of: CostOf, multiple: int, file: Path) -> None:
    """Measure a network, `model` as Keras has it, and write its table."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        costs, sized = [], []
        for number, width in enumerate(WIDTHS):
            kept = np.ones(coupling.count, bool)
            for group in coupling.groups:
                kept[group.channels[rounded(math.ceil(width * len(group.channels)), group, multiple) :]] = False
            costs.append(cost_of.by_layer(kept))
            sized.append(exported(network, model, coupling, kept, Path(folder) / f"{number}.onnx"))
        profiled = _profiled(sized, Path(folder), costs[0].keys())
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for cost, seconds in zip(costs, profiled, strict=True):
        for name, value in seconds.items():
            macs = cost[name].macs if name else sum(each.macs for each in cost.values())
            found[name][macs] = value
    table = {}
    for name, values in found.items():
        amounts = sorted(values)
        times = np.maximum.accumulate([values[amount] for amount in amounts])  # more work is not faster: that is noise
        table[name] = amounts, times.tolist()
    write_file(file, json.dumps(table).encode())


def exported(network: Network, model: Any, coupling: Coupling, kept: np.ndarray, file: Path) -> OnnxModel:
    """Write a network with some of its channels as ONNX; `model` is `network` as Keras has it."""
    weights = file.with_suffix(".npz")
    networks.save(narrowed(model, coupling, kept), weights)
    widths = {**network.widths, **widths_of(coupling, kept)}
    return to_onnx(dataclasses.replace(network, widths=widths, weights=weights), file)


def _profiled(models: Sequence[OnnxModel], folder: Path, known: Set[str]) -> list[dict[str, float]]:
    """Return the median seconds of each layer of each model, by Keras's names."""
    sessions = [
        open_session(model.file, threads=THREADS, profile=folder / f"profile{number}")
        for number, model in enumerate(models)
    ]
    image = np.zeros((1, *models[0].image_shape), np.uint8)
    end = time.perf_counter() + SECONDS
    for _ in range(MOST_CALLS // CALLS):
        if time.perf_counter() > end:
            break
        for session in sessions:
            for _ in range(CALLS):
                session.run(None, {INPUT: image})
    profiles = [Path(session.end_profiling()) for session in sessions]
    return [_by_layer(model, profile, known) for model, profile in zip(models, profiles, strict=True)]


def _by_layer(model: OnnxModel, profile: Path, known: Set[str]) -> dict[str, float]:
    """Return a model's seconds by layer, `known` by name. Its products run in the order in which its file has them."""
    runs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in json.loads(profile.read_bytes()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            operator = event["args"]["op_name"]
            is_product = operator in PRODUCTS
            runs[event["name"] if is_product else REST, "product" if is_product else event["name"]].append(event["dur"])
    medians = {key: statistics.median(times) / 1e6 for key, times in runs.items()}
    products = [seconds for (_, kind), seconds in medians.items() if kind == "product"]
    layers = cost_of_onnx(model.file).layers
    if len(layers) != len(products) or not {layer.name for layer in layers} <= known:
        raise BadInputError(
            f"target_of = 'latency': the times of {len(layers)} layers are not told apart in onnxruntime's "
            f"profile, which has {len(products)}; should be macs"
        )
    found: dict[str, float] = defaultdict(float)
    for layer, seconds in zip(layers, products, strict=True):
        found[layer.name] += seconds
    found[REST] = sum(seconds for (name, _), seconds in medians.items() if name == REST)
    return dict(found)
