"""The index (LanceDB): one row per content, disposable, computed again from the photos."""
