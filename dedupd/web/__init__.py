"""The reviewer and the JSON API over HTTP: a client of the daemon, like the terminal's reviewer.

Owns the only listening network socket of the reviewer, and only while `dedupd web` runs. Must never act on a
photo or the ledger itself (the daemon does), take a path from a request, or decode a picture in its own
process (the worker with a memory limit does).
"""
