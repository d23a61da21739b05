"""One use case a file, in the order a photo meets them; speaks ports only."""
