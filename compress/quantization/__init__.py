"""Quantization to int8 after training."""
