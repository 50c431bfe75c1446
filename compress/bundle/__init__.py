"""What lands in exported/NAME: models, texts, manifest, and how they are verified, loaded and published."""
