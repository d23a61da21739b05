"""One library or OS facility each, the only home of its import; must never decide policy."""
