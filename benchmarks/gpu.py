"""Measures a bundle's models on an NVIDIA GPU: whole calls, calls with data on the device, and CUDA graphs.

    python benchmarks/gpu.py exported/NAME [--json FILE] [--seconds 2]

Needs `pip install "onnxruntime-gpu[cuda,cudnn]"` in place of onnxruntime, and of this project's requirements only those
of `python -m compress bench MODEL`; where the project is not installed, start it as `python -m benchmarks.gpu`.

Each model runs in fp32, in TF32 (the CUDA provider's default), and in fp16, converted here with inputs and outputs
left as they are, also with channels last (NHWC), as tensor cores want them. Prints the median of each kind of call at
batch 1, 8, 32 and 128, how far the outputs are from the stored model's on the CPU, and nodes by provider. A model with
a node that falls back to the CPU gets a line instead of figures. Takes up to 3 minutes.

Exit codes: 2 if the folder is not a bundle, 4 if the machine has no GPU that the CUDA provider can use.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from rich import box
from rich.table import Table

from compress import machine
from compress.arrays import read_members
from compress.bundle.contents import GOLDEN, read_part
from compress.bundle.manifest import read_manifest
from compress.errors import BadInputError, CompressError, MachineError, first_line
from compress.latency.bench.sweep import on_device
from compress.latency.report_files import to_json, write_report
from compress.latency.timing import Call, interleaved, warm_up
from compress.onnx_tools.check import check_self_contained
from compress.onnx_tools.placement import nodes_by_provider
from compress.onnx_tools.providers import CUDA, find, load_libraries, short
from compress.onnx_tools.sessions import session_of
from compress.onnx_tools.signature import INPUT, LOGITS, OUTPUTS
from compress.terminal import terminal

BATCHES = (1, 8, 32, 128)
CALLS = ("whole", "on device", "graph")
# The CUDA provider's options; without TF32 it also keeps fp16 from the tensor cores
ARITHMETICS = {"fp32": {"use_tf32": "0"}, "TF32": {}, "fp16": {}, "fp16 NHWC": {"prefer_nhwc": "1"}}
NOISE = 16  # images, if a bundle has no golden ones
LARGEST_FP16, SMALLEST_FP16 = float(np.finfo(np.float16).max), 2.0**-24
GRAPH_TOLERANCE = 0.05  # of the largest logit: other algorithms round differently; stale memory is far off
GPU_FACTS = ("name", "driver_version", "memory.total", "power.limit", "clocks.max.sm", "clocks.max.mem")
BUSY_FACTS = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")
NOTE = (
    "Medians in ms. whole: inputs and outputs in the host's memory. on device: in the GPU's. graph: the same as a CUDA "
    "graph. Largest differences from the stored model on the CPU: of probabilities, and of logits as a fraction of the "
    "largest logit. MHz: of the multiprocessors under load."
)


@dataclass
class Row:
    """A model in one arithmetic: nodes by provider, differences from the CPU's outputs, medians by batch and call."""

    model: str
    arithmetic: str
    nodes: dict[str, int]
    probabilities_differ: float
    logits_differ: float
    equal_labels: float
    busy: dict[str, str] = field(default_factory=dict)
    p50_ms: dict[int, dict[str, float]] = field(default_factory=dict)


def main() -> None:
    """Measure a bundle, print the results, and write them to --json; a known error is one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0, help="per model and batch, for all its calls together")
    arguments = parser.parse_args()
    try:
        models, images = read_bundle(arguments.bundle)
        gpu = find_gpu()
        rows: list[Row] = []
        lines: list[str] = []
        for name, model in models.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            lines += measure(name, model, images, arguments.seconds, rows)
        show(rows, lines, gpu)
        if arguments.json:
            write_report("--json", arguments.json, to_json(as_json(rows, lines, gpu)))
    except CompressError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def read_bundle(folder: Path) -> tuple[dict[str, bytes], np.ndarray]:
    """Return a bundle's models by name, and its golden images (noise, if it has none).

    The images are `(n, height, width, channels) uint8`. Raises `BadInputError` if the folder is not a bundle,
    or a model does not hold all its weights.
    """
    manifest = read_manifest(folder)
    shape = tuple(manifest["input"]["shape"][1:])
    images = np.random.default_rng(0).integers(0, 256, (NOISE, *shape), np.uint8)
    if GOLDEN in manifest["files"]:
        data = read_part(folder, GOLDEN)
        images = read_members(io.BytesIO(data), len(data), ("images",), str(folder / GOLDEN))["images"]
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise BadInputError(f"{folder / GOLDEN}: should hold images of {shape}")
    names = [name for name in manifest["files"] if name.startswith("variants/") and name.endswith(".onnx")]
    models = {name: read_part(folder, name) for name in names}
    for name, model in models.items():  # as bytes it would look for external data in the current folder
        check_self_contained(model, str(folder / name))
    return {Path(name).stem: model for name, model in models.items()}, images


def find_gpu() -> dict[str, str]:
    """Return facts about the GPU; raises `MachineError` if there is no GPU or no CUDA provider."""
    if CUDA not in onnxruntime.get_available_providers():
        raise MachineError(
            f"onnxruntime {onnxruntime.__version__} as installed has no {CUDA}; it should be onnxruntime-gpu"
        )
    if not machine.gpu():
        raise MachineError("nvidia-smi lists no GPU on this machine, or CUDA_VISIBLE_DEVICES hides it")
    load_libraries(CUDA)
    return nvidia_smi(GPU_FACTS) | {"onnxruntime": onnxruntime.__version__}


def nvidia_smi(facts: Sequence[str], meanwhile: Call = lambda: None) -> dict[str, str]:
    """Return facts about the first GPU, by nvidia-smi's names; `meanwhile` is called until nvidia-smi has answered."""
    command = ["nvidia-smi", "--id=0", f"--query-gpu={','.join(facts)}", "--format=csv,noheader"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            meanwhile()
        line = process.communicate()[0]
    return dict(zip(facts, line.strip().split(", "), strict=True))


def measure(
    name: str,
    model: bytes,
    images: np.ndarray,
    seconds: float,
    rows: list[Row],
    provider: str = CUDA,
    batches: Sequence[int] = BATCHES,
) -> list[str]:
    """Add a row per arithmetic in which the provider runs all of a model; return lines about everything else."""
    reference = session_of(model).run(OUTPUTS, {INPUT: images})
    measured: dict[str, Row] = {}
    lines: list[str] = []
    calls: dict[int, dict[tuple[str, str], Call]] = {batch: {} for batch in batches}
    for arithmetic, options in ARITHMETICS.items() if provider == CUDA else (("fp32", {}), ("fp16", {})):
        try:
            runs, note = to_fp16(model) if "fp16" in arithmetic else (model, "")
            lines += [f"{name} in {arithmetic}: {note}"] if note else []
            measured[arithmetic] = compare(name, arithmetic, runs, images, reference, (provider, options))
            for batch, kind, call in open_calls(runs, images, batches, provider, options):
                calls[batch][arithmetic, kind] = call
        except MachineError:
            raise
        except Exception as error:  # onnxruntime raises many types for what it cannot run
            lines.append(f"{name} in {arithmetic}: no figures, or no further ones: {first_line(error)}")
    for batch, arms in calls.items():
        for call in arms.values():
            warm_up(call)
        for (arithmetic, kind), samples in interleaved(arms, seconds, random.Random(0)).items():
            measured[arithmetic].p50_ms.setdefault(batch, {})[kind] = statistics.median(samples) / 1e6
    if provider == CUDA:
        for (arithmetic, kind), call in calls[max(batches)].items():
            if kind == "on device":
                warm_up(call)
                measured[arithmetic].busy = nvidia_smi(BUSY_FACTS, call)
    rows += [row for row in measured.values() if row.p50_ms]
    return lines


def to_fp16(model: bytes) -> tuple[bytes, str]:
    """Return a model in fp16 with its inputs and outputs unchanged, and a note on what else the converter changed.

    Raises `ValueError` for a model in 8 bits, whose scales are fp32 by ONNX's definition (until opset 19), and for
    constants beyond fp16's range, which the converter would silently replace by the largest number.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    parsed = onnx.load_model_from_string(model)
    nodes = parsed.graph.node
    if any(node.op_type == "DequantizeLinear" for node in nodes):
        raise ValueError("it is in 8 bits; only fp32 is converted")
    attributes = (attribute.t for node in nodes for attribute in node.attribute if attribute.HasField("t"))
    tiny = 0
    for tensor in (*parsed.graph.initializer, *attributes):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            sizes = np.abs(onnx.numpy_helper.to_array(tensor))
            tiny += int(((sizes > 0) & (sizes < SMALLEST_FP16)).sum())
            if sizes.max(initial=0) > LARGEST_FP16:
                raise ValueError(f"{tensor.name} holds {sizes.max():.6g}; fp16 ends at {LARGEST_FP16:,.0f}")
    note = f"{tiny:,} constants below fp16's smallest, {SMALLEST_FP16:.1e}, were raised to it" if tiny else ""
    return convert_float_to_float16(parsed, keep_io_types=True).SerializeToString(), note


def compare(
    name: str,
    arithmetic: str,
    model: bytes,
    images: np.ndarray,
    reference: Sequence[np.ndarray],
    provider: tuple[str, Mapping[str, str]],
) -> Row:
    """Run a model once on a provider, given with its options, and compare its outputs.

    `reference` are the expected logits and probabilities, `(n, classes) float32` each. Raises `ValueError` if a node
    ran elsewhere or an output is not finite, and `MachineError` if all nodes ran elsewhere.
    """
    with tempfile.TemporaryDirectory() as temporary:
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, str(Path(temporary) / "profile")
        # Unlike session_of, this lets nodes fall back to the CPU, in order to count them
        session = onnxruntime.InferenceSession(model, options, providers=[provider], enable_fallback=0)
        logits, probabilities = session.run(OUTPUTS, {INPUT: images})
        nodes = nodes_by_provider(Path(session.end_profiling()))
    if provider[0] not in nodes:
        raise MachineError(f"{provider[0]} cannot start here; it needs the libraries of CUDA and cuDNN")
    if len(nodes) > 1:
        raise ValueError(f"its nodes ran on {_listed(nodes)}")
    if not np.isfinite(logits).all() or not np.isfinite(probabilities).all():
        raise ValueError("its outputs are not finite")
    return Row(
        name,
        arithmetic,
        nodes,
        probabilities_differ=float(np.abs(probabilities - reference[1]).max()),
        logits_differ=float(np.abs(logits - reference[0]).max() / np.abs(reference[0]).max()),
        equal_labels=float((logits.argmax(1) == reference[0].argmax(1)).mean()),
    )


def open_calls(
    model: bytes, images: np.ndarray, batches: Sequence[int], provider: str, options: Mapping[str, str]
) -> Iterator[tuple[int, str, Call]]:
    """Yield batch, kind and call, all plain calls before the first graph; images are repeated to fill a batch.

    Raises `ValueError` if a graph, given other images, gives other outputs than a plain call.
    """
    session = session_of(model, provider=provider, provider_options=options)
    feeds = {batch: np.resize(images, (batch, *images.shape[1:])) for batch in batches}
    for batch, feed in feeds.items():
        yield batch, "whole", partial(session.run, None, {INPUT: feed})
        yield batch, "on device", on_device(session, {INPUT: feed}, find(provider).device or "cpu")
    if provider != CUDA:
        return
    for batch, feed in feeds.items():
        # A session per batch: each keeps one graph, for one shape
        captured = session_of(model, provider=CUDA, provider_options={**options, "enable_cuda_graph": "1"})
        others = np.ascontiguousarray(feed[:, ::-1])
        expected = session.run([LOGITS], {INPUT: others})[0]
        call, image, logits = capture(captured, feed)
        image.update_inplace(others)
        call()
        if not np.abs(logits.numpy() - expected).max() <= GRAPH_TOLERANCE * np.abs(expected).max():
            raise ValueError(f"its CUDA graph at batch {batch} gives other answers than a plain call")
        yield batch, "graph", call


def capture(session: Any, feed: np.ndarray) -> tuple[Call, Any, Any]:
    """Return a call that launches a CUDA graph, and the values on the device that are its input and its logits."""
    binding = session.io_binding()
    values = {INPUT: onnxruntime.OrtValue.ortvalue_from_numpy(feed, "cuda", 0)}
    binding.bind_ortvalue_input(INPUT, values[INPUT])
    for output in session.get_outputs():
        shape = [len(feed), *output.shape[1:]]
        values[output.name] = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, "cuda", 0)
        binding.bind_ortvalue_output(output.name, values[output.name])
    call = partial(session.run_with_iobinding, binding)
    for _ in range(3):  # the first runs allocate and capture
        call()
    return call, values[INPUT], values[LOGITS]


def show(rows: Sequence[Row], lines: Sequence[str], gpu: Mapping[str, str]) -> None:
    """Print the tables of medians and of answers, and the lines below them."""
    latencies = _table("model", "in", "batch", *CALLS)
    answers = _table("model", "in", "nodes", "probabilities", "logits", "labels", "MHz")
    for row in rows:
        differ = (f"{row.probabilities_differ:.1e}", f"{row.logits_differ:.1e}", f"{row.equal_labels:.1%}")
        clock = row.busy.get("clocks.sm", "-").removesuffix(" MHz")
        answers.add_row(row.model, row.arithmetic, _listed(row.nodes), *differ, clock)
        for batch, medians in row.p50_ms.items():
            figures = (f"{medians[kind]:.3f}" if kind in medians else "-" for kind in CALLS)
            latencies.add_row(row.model, row.arithmetic, str(batch), *figures)
    console = terminal()
    console.print(latencies)
    console.print(answers)
    for line in (NOTE, *lines, ", ".join(f"{fact} {value}" for fact, value in gpu.items())):
        console.print(line, highlight=False, soft_wrap=True)


def as_json(rows: Sequence[Row], lines: Sequence[str], gpu: Mapping[str, str]) -> dict[str, Any]:
    """Return all results as plain JSON values."""
    return {"schema": 1, "gpu": dict(gpu), "models": [asdict(row) for row in rows], "notes": list(lines)}


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("model", "in", "nodes") else "right", no_wrap=True)
    return table


def _listed(nodes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {short(provider)}" for provider, count in nodes.items())


if __name__ == "__main__":
    main()
