"""The search for candidates: which pairs of photos may be copies, from a whole library in little time.

Must never open a photo, nor decide what a pair is. Worker process only.
"""
