"""Making, reading and running ONNX files."""
