"""The index of what was seen (LanceDB): disposable, made again from the photos."""
