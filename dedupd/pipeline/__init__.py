"""The use cases, one per file. They reach files, time and the worker through ports alone."""
