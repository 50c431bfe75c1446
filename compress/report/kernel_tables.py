"""What models run as, as tables and lines on the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from compress.onnx_tools.providers import short
from compress.report.kernels import NAMED, Kernels, listed

MAX_ROWS = 20  # nodes that are left between others, and products that are named
NOTE = (
    "products: convolutions, matrix products and recurrent layers. movement: values are copied or reshaped. us: of a "
    "call, as profiled, which slows short kernels down; on a GPU, until a kernel is launched."
)
UNKNOWN = (
    "between which operators its conversions stand is not known: the provider does not write down what it compiled"
)


def kernel_table(kernels: Kernels, name: str) -> Table:
    """Return a table of the kinds of kernels that a model runs as, titled with its name."""
    table = _table(Text(name), "kernel", "on", "kind", "types", "nodes", "us", "share")
    for kernel in kernels.kinds:
        table.add_row(
            Text(kernel.operator),
            short(kernel.provider),
            kernel.kind,
            f"{kernel.takes} -> {kernel.gives}",
            f"{kernel.nodes:,}",
            f"{kernel.us:,.1f}",
            f"{100 * kernel.share:.1f} %",
        )
    return table


def left_table(kernels: Kernels) -> Table | None:
    """Return a table of the conversions and transpositions that are left, the slowest first; None without any."""
    if not kernels.left:
        return None
    table = _table(None, "left", "tensor", "from", "to", "us")
    rows = sorted(kernels.left, key=lambda left: -(left.us or 0.0))
    for left in rows[:MAX_ROWS]:
        us = "-" if left.us is None else f"{left.us:,.1f}"
        table.add_row(*map(Text, (left.operator, left.tensor, left.after, ", ".join(left.before))), us)
    if len(rows) > MAX_ROWS:
        table.add_row(f"... {len(rows) - MAX_ROWS} more")
    return table


def other_products_line(kernels: Kernels) -> str:
    """Return a line that names more of a quantized model's products in float than its summary; empty if it need not."""
    if not kernels.is_quantized or len(kernels.other_products) <= NAMED:
        return ""
    return f"products that do not run as int8: {listed(kernels.other_products, MAX_ROWS)}"


def _table(title: Text | None, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("nodes", "us", "share") else "left")
    return table
