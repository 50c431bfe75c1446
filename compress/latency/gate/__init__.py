"""The gate: checks that models did not get slower than their baselines."""
