"""Serving bundles over HTTP: the Open Inference Protocol, labels for image files, batching, limits, metrics, a page."""
