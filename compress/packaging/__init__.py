"""A bundle in the layouts of other servers and hubs, written on request: one module per format, in formats/."""
