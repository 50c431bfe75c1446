"""The latency of any ONNX files, and of all models of a run."""
