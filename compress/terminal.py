"""The terminal that commands print to."""

from __future__ import annotations

from rich.console import Console


def terminal() -> Console:
    """Return a console that prints names, paths and settings as they are, whatever brackets and colons they hold."""
    return Console(markup=False, emoji=False)
