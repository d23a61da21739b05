"""The reviewer and the JSON API over HTTP: a client of the daemon, as the terminal's reviewer is.

Owns the only network socket of dedupd, and only while `dedupd web` runs. Must never act on a photo or the ledger itself
(the daemon does), take a path from a request, or decode a picture in its own process (the capped worker does).
"""
