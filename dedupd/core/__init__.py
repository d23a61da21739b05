"""Values and decisions. Uses the standard library alone (and numpy for arrays): no files, no clock, no threads."""
