"""Finds out how the terminal can show pictures; asked once, before the app takes the terminal over. Must
never wait long."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from typing import Literal

ImageMode = Literal["kitty", "sixel", "half", "off"]
IMAGE_MODES: tuple[ImageMode, ...] = ("kitty", "sixel", "half", "off")

_KITTY_QUERY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_NAME_QUERY = "\x1b[>q"
_ATTRIBUTES_QUERY = "\x1b[c"
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_PLACEHOLDERS = re.compile(rb">\|(?:ghostty|kitty\((?:[1-9]|0\.(?:2[89]|[3-9]\d)\.))", re.IGNORECASE)
"""Terminals that support Kitty's picture placeholders; Kitty itself does from version 0.28."""


def choose(wanted: str) -> ImageMode:
    """The mode for `--images=wanted`; 'auto' asks the terminal."""
    for mode in IMAGE_MODES:
        if mode == wanted:
            return mode
    return probe()


def probe(timeout: float = 2.0) -> ImageMode:
    """Ask the terminal, in one round trip. Every terminal answers the attributes query, so that answer ends
    the wait. An answer that comes later, from a remote or busy terminal, would be read as key presses.

    Sixel comes first: terminals that know both (Konsole, WezTerm) have no placeholders, and Kitty knows no
    Sixel.
    """
    return reading(_converse(_KITTY_QUERY + _NAME_QUERY + _ATTRIBUTES_QUERY, timeout))


def reading(answer: bytes) -> ImageMode:
    """The mode that the terminal's answer means."""
    attributes = _ATTRIBUTES.search(answer)
    if attributes and b"4" in attributes[1].split(b";"):
        return "sixel"
    return "kitty" if b"_Gi=31;OK" in answer and _PLACEHOLDERS.search(answer) else "half"


def _converse(question: str, timeout: float) -> bytes:
    """The terminal's answer up to its attributes; at a timeout what has arrived; b'' without a terminal."""
    try:
        import termios
        import tty

        fd, out = sys.__stdin__.fileno(), sys.__stdout__  # type: ignore[union-attr]
        if out is None or not (os.isatty(fd) and out.isatty()):
            return b""
        before = termios.tcgetattr(fd)
    except (ImportError, OSError, AttributeError, ValueError):
        return b""
    answer = b""
    try:
        tty.setcbreak(fd)
        out.write(question)
        out.flush()
        end = time.monotonic() + timeout
        while not _ATTRIBUTES.search(answer) and (left := end - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0]:
                answer += os.read(fd, 1024)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
    return answer
