"""One file for each command, named like the command: `add` declares its options, `run` does it. main.py lists
them.

Code outside the functions must be quick to import, because all files are imported to print `dedupd --help`.
Slow modules, such as dedupd.library, are imported where they are used.
"""
