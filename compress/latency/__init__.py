"""Measuring how long models take: what `bench/` and `gate/` share."""
