"""The roots on the disk: walked, watched, locked, and the one module that moves a photo (mover.py)."""
