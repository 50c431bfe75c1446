"""Pruning: removed filters, which make a network faster, and masked weights, which make its file smaller."""
