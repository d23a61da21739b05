"""One file a command, named as the command: `add` says what it takes, `run` does it. main.py lists them.

What stands outside the functions must be quick to import: all are imported to print `dedupd --help`. What is not,
such as dedupd.library, is imported where it is used.
"""
