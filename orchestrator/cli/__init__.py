"""The command line: one file a verb; `--help` lives with it."""
