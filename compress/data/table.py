"""What is known about a data set, as a table and lines for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from compress.artifacts import Dataset
from compress.data.describe import description_of
from compress.plural import counted

MAX_ROWS = 40  # classes


def data_table(data: Dataset) -> Table:
    """Return a table of how many images each class has in each split."""
    description = description_of(data)
    splits, classes = description["splits"], description["classes"]
    table = Table(title=f"{data.name}: {counted(description['images'], 'image')}", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("class")
    for split in splits:
        table.add_column(split, justify="right")
    for name, counts in list(classes.items())[:MAX_ROWS]:
        table.add_row(Text(name), *(f"{counts[split]:,}" for split in splits))
    if len(classes) > MAX_ROWS:
        table.add_row(f"... {len(classes) - MAX_ROWS} more", *("" for _ in splits))
    table.add_section()
    table.add_row(counted(len(classes), "class", "classes"), *(f"{n:,}" for n in splits.values()), style="bold")
    return table


def data_facts(data: Dataset) -> list[str]:
    """Return lines on sizes, formats, copies, leaks and imbalance."""
    description = description_of(data)
    sizes, kinds = description["sizes"], description["kinds"]
    height, width, channels = data.image_shape
    common = ", ".join(f"{count:,} of {size}" for size, count in list(sizes["common"].items())[:3])
    leaks = ", ".join(f"{pair} {leak['count']}" for pair, leak in description["leaks"].items())
    return [
        f"sizes, width x height: {sizes['smallest']} to {sizes['largest']}; {common}",
        f"formats: {', '.join(f'{kind} {count:,}' for kind, count in kinds.items())}",
        f"what the network sees: {width}x{height}, {'grey' if channels == 1 else 'RGB'}, {data.preparation['fit']}",
        f"copies: {description['duplicates']['images']}; under two labels: {description['conflicts']['count']}; "
        f"in two splits: {leaks}",
        f"largest to smallest class: {description['imbalance']:.1f}; left out: {len(description['left_out'])}",
    ]
