"""The report's figures, drawn with matplotlib: one function each, from the report and the evidence beside it."""
