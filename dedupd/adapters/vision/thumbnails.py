"""Thumbnails: small pictures in the cache, for the reviewers and for pages.

Owns their sizes, forms and places. Must never make one from other bytes than those it was asked about. Worker process
only.
"""

from __future__ import annotations

import os
from pathlib import Path

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.profiles import picture_in_srgb
from dedupd.adapters.vision.proof import read_picture
from dedupd.adapters.vision.refused import Refused
from dedupd.ports import EVERY_PIXEL

_THUMBNAILS = {
    512: (".jpg", "JPEG", 82), 256: ("-256.webp", "WEBP", 60),
    1280: ("-1280.jpg", "JPEG", 88), 2560: ("-2560.jpg", "JPEG", 90), EVERY_PIXEL: ("-full.jpg", "JPEG", 93),
}  # fmt: skip
"""Long side -> (suffix, format, quality). Large for looking, small (a fifth of the bytes) for pages, every
pixel for a browser that compares."""


def shrink(file: messages.FileToShrink, cache_dir: Path, side: int) -> messages.Shrunk:
    """Make the thumbnail (long side `side` px, mode 0600) unless it exists."""
    ending, kind, quality = _THUMBNAILS[side]
    target = cache_dir / "thumbs" / file.content[:2] / f"{file.content}{ending}"
    if not target.exists():
        try:
            picture = read_picture(os.fsdecode(file.path), file.content, side)
            picture.image.thumbnail((side, side))
            image = picture_in_srgb(picture.image, picture.profile)
            image.info.clear()  # the file's own profile and words, which Pillow would write again
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = target.with_suffix(f".{os.getpid()}.part")
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                image.save(out, kind, quality=quality)
            part.replace(target)
        except (Refused, OSError):
            return messages.Shrunk(key=file.key, path=b"")
    return messages.Shrunk(key=file.key, path=os.fsencode(target))
