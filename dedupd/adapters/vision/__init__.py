"""The eyes of dedupd: a worker process that decodes, embeds, keeps the index and measures pairs.

`client` and `models` are light and belong to the daemon; every other module here is imported only in
the worker process and may import Pillow, numpy, OpenCV, lancedb or torch.
"""
