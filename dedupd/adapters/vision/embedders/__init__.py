"""One file an embedder: name, weights, and vectors of prepared pictures. registry.py says which there are."""
