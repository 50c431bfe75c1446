"""Bundles over HTTP: the Open Inference Protocol, images in and labels out, batches, limits, metrics and a page."""
