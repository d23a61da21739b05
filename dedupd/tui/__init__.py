"""The Textual reviewer: `dedupd review`.

Talks to the daemon through dedupd.client alone. Must never import torch, lancedb, pyarrow or numpy, nor
the layers that do; Pillow and textual-image are loaded after the first frame.
"""
