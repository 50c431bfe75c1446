"""The stages, one a file, each a story told from top to bottom.

They import the rooms inside `run`: TensorFlow takes seconds, and a run whose stages are all finished needs none of it.
"""
