"""Values and decisions: stdlib (and numpy where arrays meet); no files, clock, threads."""
