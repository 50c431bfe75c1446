"""The part of report.json that says what a model runs as after the runtime's own optimization, and what that means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from compress.kernels import Inspection, Kind
from compress.plural import counted
from compress.report.part import Count, Fraction, Part

NAMED = 3  # products that a line names
SHORT = 20.0  # microseconds that a kernel takes: what is as short gains little by integers
QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}

Microseconds = Annotated[float, Field(ge=0)]


class Kernel(Part):
    """A kind of kernel: `nodes` with first inputs and outputs of these types, and their time in a call together."""

    operator: str
    provider: str
    kind: Kind
    is_product: bool
    takes: str
    gives: str
    nodes: Count
    us: Microseconds
    share: Fraction


class Left(Part):
    """A conversion or transposition of a tensor, after the operator that makes it and before those that take it."""

    operator: str
    tensor: str
    after: str
    before: tuple[str, ...]
    us: Microseconds | None


class Kernels(Part):
    """What a model runs as: kinds of kernels, the slowest first, each with its share of all kernels' time.

    Products are convolutions, matrix products and recurrent layers; `other_products` names those that do not multiply
    integers of 8 bits. `left` is None where the runtime does not tell. Times are those of onnxruntime's profiler, which
    slows short kernels down.
    """

    kinds: tuple[Kernel, ...]
    other_products: tuple[str, ...]
    left: tuple[Left, ...] | None

    @property
    def products(self) -> int:
        """How many nodes are products."""
        return sum(kernel.nodes for kernel in self.kinds if kernel.is_product)

    @property
    def is_quantized(self) -> bool:
        """Whether a product runs as int8, or something is quantized."""
        return self.products > len(self.other_products) or any(kernel.operator in QUANTIZED for kernel in self.kinds)


def kernels_of(found: Inspection) -> Kernels:
    """Return what was found in a model, with shares."""
    whole = sum(kernel.us for kernel in found.kernels)
    return Kernels(
        kinds=tuple(
            Kernel(**dataclasses.asdict(kernel), share=round(kernel.us / whole, 4) if whole else 0.0)
            for kernel in found.kernels
        ),
        other_products=found.other_products,
        left=None if found.left is None else tuple(Left(**dataclasses.asdict(left)) for left in found.left),
    )


def summary(kernels: Kernels) -> str:
    """Return in words how many of a model's products run as int8, which do not, and what the rest takes of the time."""
    products, others = kernels.products, kernels.other_products
    as_int8 = products - len(others)
    parts = [
        f"{as_int8} of {counted(products, 'product')} {_verb('run', products)} as int8" if products else "no product"
    ]
    if others and kernels.is_quantized:
        parts[0] += f" (not {listed(others, NAMED)})"
    for kind, one, several in (
        ("conversion", "conversion", ""),
        ("movement", "copy or reshape", "copies and reshapes"),
    ):
        alike = [kernel for kernel in kernels.kinds if kernel.kind == kind]
        if alike:
            nodes, share = sum(kernel.nodes for kernel in alike), sum(kernel.share for kernel in alike)
            told = f"{100 * share:.0f}" if share >= 0.01 else "less than 1"
            parts.append(f"{counted(nodes, one, several)} {_verb('take', nodes)} {told} % of the time")
    return "; ".join(parts)


def listed(names: Sequence[str], most: int) -> str:
    """Return names as a list in words, with how many more than `most` there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def why_slower(int8: Kernels, fp32: Kernels) -> str:
    """Return in words on which kernels an int8 model spends more time than the same network in fp32."""
    times, others = _times(int8), _times(fp32)
    more = sorted((name for name in times if times[name] > others[name]), key=lambda name: others[name] - times[name])
    parts = [f"{name} take {times[name]:.0f} us against {others[name]:.0f}" for name in more]
    if not more:
        parts.append("as profiled, no kind of kernel is slower")
    nodes = sum(kernel.nodes for kernel in int8.kinds)
    each = sum(times.values()) / nodes if nodes else 0.0
    if each < SHORT:
        parts.append(
            f"its {counted(nodes, 'kernel')} of {each:.1f} us each, as profiled, are too short to gain by integers"
        )
    return "; ".join(parts)


def _verb(verb: str, number: int) -> str:
    return f"{verb}s" if number == 1 else verb


def _times(kernels: Kernels) -> dict[str, float]:
    """Return the microseconds that kernels take, by what they do."""
    of: Mapping[str, Callable[[Kernel], bool]] = {
        "products": lambda kernel: kernel.is_product,
        "conversions": lambda kernel: kernel.kind == "conversion",
        "copies and reshapes": lambda kernel: kernel.kind == "movement",
        "other kernels": lambda kernel: not kernel.is_product and kernel.kind not in ("conversion", "movement"),
    }
    return {name: sum(kernel.us for kernel in kernels.kinds if is_one(kernel)) for name, is_one in of.items()}
