"""Writing a bundle in the layouts of other servers and hubs, on request: one module per format, in formats/."""
