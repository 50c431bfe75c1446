"""The commands. Each one parses options, calls the rest of the package and prints; none has logic of its own."""
