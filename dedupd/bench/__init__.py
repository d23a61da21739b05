"""Labelled galleries, timings and other tools, for measuring dedupd."""
