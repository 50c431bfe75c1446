"""The stages, one per file, each readable from top to bottom.

They import most of the package inside `run`: TensorFlow takes seconds to import, and a run whose stages are all
finished does not need it.
"""
