"""How long models take: any ONNX files, and all models of a run."""
