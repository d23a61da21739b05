"""One file an embedder (`EMBEDDER`): its names, its models, and how one is loaded. registry.py finds them all."""
