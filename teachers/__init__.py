"""Teachers: one architecture a file, `build(input_shape, classes, **options)`, found by the file's name."""
