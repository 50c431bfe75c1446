"""Layouts of other servers and hubs: one module per format, found by the file's name.

    write(bundle: Source, out: Path) -> None

writes the layout into the empty folder `out`, from a bundle that was found to be whole. Raises `BadInputError` for a
bundle that lacks what the format needs, and `MachineError` if this machine lacks it.
"""
