"""One library or OS facility each, the only place that imports it. Must never decide policy."""
