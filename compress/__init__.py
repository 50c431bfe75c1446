"""From labelled images to a small, fast, verified image classifier in ONNX."""
