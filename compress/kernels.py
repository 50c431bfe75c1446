"""What a model runs as: the kernels that a runtime has chosen, and what they left between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["int8", "float", "conversion", "movement", "other"]


@dataclass(frozen=True)
class Kernel:
    """A kind of kernel that a runtime runs: `nodes` of a graph, which take `us` microseconds of a call together.

    `takes` and `gives` are the types of its first input and output, as onnxruntime names them. Products are
    convolutions, matrix products and recurrent layers.
    """

    operator: str
    provider: str
    kind: Kind
    is_product: bool
    takes: str
    gives: str
    nodes: int
    us: float


@dataclass(frozen=True)
class Left:
    """A node that converts or transposes a tensor between operators, and that the runtime has not removed.

    `after` is the operator that makes the tensor, `input` or `weights`; `before` are those that take what the node
    gives, or `output`. `us` is how many microseconds of a call it takes, None if that is not known.
    """

    operator: str
    tensor: str
    after: str
    before: tuple[str, ...]
    us: float | None


@dataclass(frozen=True)
class Inspection:
    """What a model runs as: its kernels, the slowest first, and the nodes between them.

    `other_products` are the names of the products that are not of kind int8. `left` is None where the runtime does not
    tell.
    """

    kernels: tuple[Kernel, ...]
    other_products: tuple[str, ...]
    left: tuple[Left, ...] | None
