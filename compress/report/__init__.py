"""The report on a run's models: built once, used to choose a model, shown as tables, and read from report.json."""
