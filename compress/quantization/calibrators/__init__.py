"""Which range of each activation integers represent: one way per file, found by the file's name.

Each has a function `ranges(observed, **options)` that returns the lowest and the highest value to represent, by the
names of the activations; values beyond are clipped.
"""
