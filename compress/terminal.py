"""The terminal that commands print to."""

from __future__ import annotations

from rich.console import Console


def terminal() -> Console:
    """Return a console that prints text literally, so that brackets and colons in names and paths stay as they are."""
    return Console(markup=False, emoji=False)
