"""Teachers: one architecture per file, `build(input_shape, classes, **options)`, found by the file's name."""
