"""Layouts of other servers and hubs: one module per format, found by the file's name.

    write(bundle: Source, out: Path) -> None

writes the layout of a verified bundle into the empty folder `out`. Raises `BadInputError` if the bundle lacks something
that the format needs, and `MachineError` if this machine does.
"""
