"""The terminal, or the file or pipe in its place, that commands print to."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

NO_WIDTH = 10_000  # columns of an output that has no edge
NARROWEST = 8  # columns that are left to names, however narrow the terminal is


class Terminal(Console):
    """A console that prints the figures of tables, which are their right-justified columns, whole at any width."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects as rich does; a table may be wider than the terminal."""
        for shown in objects:
            if isinstance(shown, Table):
                narrowest = _keep_figures(shown)
                shown.width = narrowest if narrowest > self.width else shown.width
                options["crop"] = False
        super().print(*objects, **options)


def terminal(stderr: bool = False) -> Terminal:
    """Return a console that prints text literally, so that brackets and colons in names and paths stay as they are.

    Where the output is not a terminal, lines are as long as they need to be, unless COLUMNS says how long. `stderr` is
    for commands whose output is a file.
    """
    stream = sys.stderr if stderr else sys.stdout
    has_width = (stream is not None and stream.isatty()) or os.environ.get("COLUMNS", "").isdigit()
    return Terminal(markup=False, emoji=False, width=None if has_width else NO_WIDTH, stderr=stderr)


def _keep_figures(table: Table) -> int:
    """Let names fold, but no figure be cut; return the width that the table needs, in columns of the terminal."""
    for column in table.columns:
        cells = [cell if isinstance(cell, Text) else Text(str(cell)) for cell in (column.header, *column.cells)]
        width = max(cell.cell_len for cell in cells)
        if column.justify == "right":
            column.no_wrap, column.min_width = True, width
        else:
            column.no_wrap, column.overflow, column.min_width = False, "fold", min(width, NARROWEST)
    _, right, _, left = table.padding
    edges = len(table.columns) + 1
    return edges + sum((column.min_width or 0) + right + left for column in table.columns)
