# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false
"""Pictures as terminal pixels: Sixel, or Kitty graphics with placeholders. Imported after the first frame.

Only makes the escape sequences, in a thread. Must never write to the terminal: that would mix with the app's
own output. textual-image's widgets write themselves, encode on the event loop and leave every picture in
Kitty's memory, so only its encoder is used here.
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
from dedupd.tui.pictures.imaging import Pixels

_PLACEHOLDER = "\U0010eeee"
_CHUNK = 4096
"""Characters of base64 in one message; the protocol's limit."""
_ids = count(randint(1, 1 << 23))
"""Picture ids. They start at random because other programs in this terminal have pictures too, and stay below
2^24 because an id is written as a colour."""


def sixels(picture: Pixels, columns: int, rows: int, cell: tuple[int, int]) -> Drawing:
    """Draw with Sixel in at most this many cells, proportions kept. cell: width and height of one cell in
    pixels."""
    across, down = _fitted(picture, columns * cell[0], rows * cell[1])
    shown = picture.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=2.0)
    blank = [Segment(" " * -(-across // cell[0]))]
    return Drawing(lines=[blank] * -(-down // cell[1]), over=image_to_sixels(shown))


def kitty(picture: Pixels, columns: int, rows: int, cell: tuple[int, int]) -> Drawing:
    """Draw with Kitty graphics; as `sixels`. The terminal enlarges a smaller picture and centres it in its cells.

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
    return Drawing(
        lines=lines, before=_transmission(picture, id, columns, rows), after=_message(f"a=d,d=I,i={id}")
    )


def _fitted(picture: Pixels, across: int, down: int) -> tuple[int, int]:
    """Width and height in pixels, as large as fits, with the same proportions."""
    scale = min(across / picture.width, down / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def _transmission(picture: Pixels, id: int, columns: int, rows: int) -> str:
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
    """One message of the protocol. q=2 asks for no answer, because an answer would be read as key presses."""
    return f"\x1b_G{keys},q=2;{payload}\x1b\\"
