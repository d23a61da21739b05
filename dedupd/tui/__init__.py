"""The Textual reviewer; must never import torch, lancedb, pyarrow or numpy."""
