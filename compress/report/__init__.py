"""What is known of a run's models: built once, chosen from, shown as tables, and read again from report.json."""
