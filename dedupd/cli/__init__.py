"""The command line: parse, ask the library or the daemon, print."""
