"""One fit loop for teacher, pruning and student."""
