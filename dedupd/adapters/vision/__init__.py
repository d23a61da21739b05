"""The vision worker: a process that decodes, embeds, owns the index and measures pairs.

`client` and `messages` are light and belong to the daemon; every other module here is imported only in the
worker process and may import Pillow, numpy, OpenCV, lancedb or torch.
"""
