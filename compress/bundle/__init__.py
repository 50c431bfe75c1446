"""What lands in exported/: the report, the files, the table on the terminal."""
