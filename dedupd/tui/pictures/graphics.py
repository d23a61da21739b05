# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false
"""A picture in the terminal's own pixels: Sixel, or Kitty's graphics with placeholders. Loaded after the first frame.

Only makes what is to be written, off the event loop; must never write itself: the app's own output would be torn.
textual-image's widgets do write, encode on the loop, and leave every picture in Kitty's memory; its encoder serves here.
"""

from __future__ import annotations

import base64
import io
from itertools import count
from random import randint

from PIL import Image
from rich.segment import Segment
from rich.style import Style
from textual_image._sixel import image_to_sixels
from textual_image.renderable.tgp import _NUMBER_TO_DIACRITIC as NUMBERS

from dedupd.tui.pictures.drawing import Drawing

Picture = Image.Image
_PLACEHOLDER = "\U0010eeee"
_CHUNK = 4096
"""Characters of base64 in one message, as the protocol has it."""
_ids = count(randint(1, 1 << 23))
"""A random start: other programs in the same terminal have pictures too. Below 2^24, which fits a colour."""


def sixels(picture: Picture, columns: int, rows: int, cell: tuple[int, int]) -> Drawing:
    """In at most so many cells of so many pixels; proportions are kept to the pixel."""
    across, down = _fitted(picture, columns * cell[0], rows * cell[1])
    shown = picture.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=2.0)
    blank = [Segment(" " * -(-across // cell[0]))]
    return Drawing(lines=[blank] * -(-down // cell[1]), over=image_to_sixels(shown))


def kitty(picture: Picture, columns: int, rows: int, cell: tuple[int, int]) -> Drawing:
    """As `sixels`; the terminal enlarges what is smaller, and centres it in its cells.

    https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
    """
    across, down = _fitted(picture, columns * cell[0], rows * cell[1])
    columns, rows = min(columns, -(-across // cell[0])), min(rows, -(-down // cell[1]), len(NUMBERS))
    id = next(_ids)
    style = Style.parse(f"#{id:06x}")
    lines = [
        [Segment("".join(f"{_PLACEHOLDER}{chr(NUMBERS[y])}{chr(NUMBERS[x])}" for x in range(columns)), style)]
        for y in range(rows)
    ]
    if across < picture.width:
        picture = picture.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Drawing(lines=lines, before=_sent(picture, id, columns, rows), after=_message(f"a=d,d=I,i={id}"))


def _fitted(picture: Picture, across: int, down: int) -> tuple[int, int]:
    """Pixels: as large as fits, proportions kept."""
    scale = min(across / picture.width, down / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def _sent(picture: Picture, id: int, columns: int, rows: int) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    rest = base64.b64encode(file.getvalue()).decode("ascii")
    keys, messages = f"a=T,U=1,i={id},f=100,c={columns},r={rows},", []
    while rest:
        chunk, rest = rest[:_CHUNK], rest[_CHUNK:]
        messages.append(_message(f"{keys}m={1 if rest else 0}", chunk))
        keys = ""
    return "".join(messages)


def _message(keys: str, payload: str = "") -> str:
    """q=2: an answer would be read as keys."""
    return f"\x1b_G{keys},q=2;{payload}\x1b\\"
