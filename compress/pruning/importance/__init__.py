"""How much a network needs each of its channels: one criterion per file, found by the file's name.

Each has a function `importance(model, coupling, sample, **options)` that returns one value per channel of the coupling,
`(coupling.count,) float64`; channels of less value are removed first. Coupled channels are judged as one.
"""
