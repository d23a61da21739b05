"""The version of what is seen of a photo. Light: the daemon knows it without a worker."""

from __future__ import annotations

RECIPE = "2"
"""Version of decode, hashes and measures. Change it when one of them changes: rows of another version are
never mixed. (Decoding Lab and CMYK by their profiles did not change it: lightness, which the hashes use,
hardly differs, and every library would have been read again.)"""
