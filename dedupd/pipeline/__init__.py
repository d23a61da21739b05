"""The use cases, one per file.

They get the adapters from library/build.py and never import one at run time. A port (ports.py) stands where tests use
a fake or where there is more than one implementation; the ledger and the mover are used under their own types.
"""
