"""Measuring how long a model takes."""
