"""From a data source to splits on disk, and from those to batches."""
