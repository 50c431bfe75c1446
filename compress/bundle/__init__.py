"""The bundle in exported/NAME: its models, texts and manifest, and how it is written, verified, loaded, published."""
