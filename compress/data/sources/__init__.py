"""Data sources: one a file, found by the file's name.

Each has `fingerprint()`, the sha256 over the bytes of its images and labels, taken without decoding them, and
`load()`, which returns images `(n, height, width, 1 or 3) uint8`, labels `(n,) int64` and the classes' names.
"""
