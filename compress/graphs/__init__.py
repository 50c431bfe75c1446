"""Keras graphs: which of their channels belong together, and networks with fewer channels."""
