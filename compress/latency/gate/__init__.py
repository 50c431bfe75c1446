"""Whether models take longer than their baselines."""
