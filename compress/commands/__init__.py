"""The commands: each parses, calls and prints, and has no logic of its own."""
