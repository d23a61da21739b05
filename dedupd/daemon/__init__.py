"""The long-running process: lifecycle, lock, server, schedule."""
