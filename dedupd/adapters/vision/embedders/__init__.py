"""One file for each embedder (it declares `EMBEDDER`): its names, its models, and how one is loaded.
registry.py finds them all."""
