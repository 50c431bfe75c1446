"""What brings back accuracy that int8 loses, one way per file, found by the file's name.

Each has a function `cured(candidate, workbench)` that yields candidates made from a given one, the cheapest first.
"""
