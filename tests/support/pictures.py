"""Small pictures that look like photos to hashes, embedders and alignment: shapes, shade, texture. No files shipped."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TAG_ORIENTATION, TAG_MAKE, TAG_MODEL, TAG_SOFTWARE = 0x0112, 0x010F, 0x0110, 0x0131
IFD_EXIF, TAG_TAKEN, TAG_SUBSEC = 0x8769, 0x9003, 0x9291


def picture(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """The same seed gives the same scene at every size; different seeds share nothing."""
    return _painted(seed, size).copy()


@lru_cache(24)
def _painted(seed: int, size: tuple[int, int]) -> Image.Image:
    return _scene(seed).resize(size, Image.Resampling.LANCZOS)


@lru_cache(12)
def _scene(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    scene = Image.fromarray(rng.integers(40, 216, (6, 8, 3), dtype=np.uint8)).resize(
        (960, 720), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(scene)
    for _ in range(24):
        x, y, w, h = (int(v) for v in rng.integers((-60, -60, 30, 30), (900, 680, 260, 220)))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    grain = Image.fromarray(rng.integers(0, 256, (720, 960), dtype=np.uint8)).filter(
        ImageFilter.GaussianBlur(1.5)
    )
    textured = np.asarray(scene, np.float32) + (np.asarray(grain, np.float32)[..., None] - 127.5) * 0.8
    return Image.fromarray(np.clip(textured, 0, 255).astype(np.uint8))


def save(
    path: Path,
    image: Image.Image,
    *,
    taken: datetime | None = None,
    camera: tuple[str, str] | None = None,
    orientation: int | None = None,
    software: str = "",
    quality: int = 90,
) -> Path:
    """Write `image` with the EXIF a camera would give it; the name decides the format."""
    exif = Image.Exif()
    if taken is not None:
        inner = exif.get_ifd(IFD_EXIF)
        inner[TAG_TAKEN] = taken.strftime("%Y:%m:%d %H:%M:%S")
        inner[TAG_SUBSEC] = f"{taken.microsecond // 1000:03}"
    if camera is not None:
        exif[TAG_MAKE], exif[TAG_MODEL] = camera
    if orientation is not None:
        exif[TAG_ORIENTATION] = orientation
    if software:
        exif[TAG_SOFTWARE] = software
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, quality=quality)
    return path


def small_gallery(root: Path) -> Path:
    """June 2024: a photo with a byte copy, a saved-again copy and a smaller copy; two other photos; one of July."""
    june, july = root / "2024/06", root / "2024/07"
    camera = ("Maker", "Model 1")
    noon = datetime(2024, 6, 15, 12, 0, 0, tzinfo=UTC)
    original = save(june / "IMG_0001.jpg", picture(1, (960, 720)), taken=noon, camera=camera, quality=93)
    (june / "IMG_0001 (1).jpg").write_bytes(original.read_bytes())
    save(june / "edited/IMG_0001-small.jpg", picture(1, (960, 720)).resize((480, 360)), quality=80)
    save(june / "IMG_0001-again.jpg", Image.open(original), quality=70)
    save(june / "IMG_0002.jpg", picture(2), taken=noon.replace(day=16), camera=camera)
    save(june / "IMG_0003.png", picture(3))
    save(july / "IMG_0004.jpg", picture(4), taken=noon.replace(month=7), camera=camera)
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """How a phone shows a photo: in the dark or not, bare, with a gallery's bars or film strip, or with bars of another colour."""

    dark: bool
    bars: str = "none"
    size: tuple[int, int] = (1080, 2340)

    def __str__(self) -> str:
        return f"{'dark' if self.dark else 'light'}-{self.bars}"


def on_a_screen(photo: Image.Image, screen: Screen) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """A screenshot of the photo filling the width, and where it lies there."""
    wide, high = screen.size
    ground, ink = ((0, 0, 0), (235, 235, 235)) if screen.dark else ((255, 255, 255), (20, 20, 20))
    shot = Image.new("RGB", screen.size, ground)
    draw = ImageDraw.Draw(shot)
    if screen.bars == "other":
        bar = (34, 34, 38) if screen.dark else (225, 225, 230)
        draw.rectangle((0, 0, wide, 95), fill=bar)
        draw.rectangle((0, high - 140, wide, high), fill=bar)
    shown = photo.resize((wide, round(photo.height * wide / photo.width)), Image.Resampling.LANCZOS)
    top = (high - shown.height) // 2
    shot.paste(shown, (0, top))
    draw.text((40, 24), "12:47", fill=ink, font=ImageFont.load_default(44))
    for battery in range(3):
        draw.rectangle((wide - 70 - 70 * battery, 30, wide - 30 - 70 * battery, 58), outline=ink, width=4)
    if screen.bars == "film":
        for other in range(12):
            shot.paste(picture(900 + other, (70, 91)), (75 + 76 * other, high - 320))
    if screen.bars == "gallery":
        draw.text((wide // 2 - 130, 140), "12 May 2021", fill=ink, font=ImageFont.load_default(48))
        for button in range(4):
            middle = wide * (2 * button + 1) // 8
            draw.ellipse((middle - 28, high - 190, middle + 28, high - 134), outline=ink, width=5)
    draw.rounded_rectangle((wide // 2 - 150, high - 30, wide // 2 + 150, high - 22), 4, fill=ink)
    return shot, (0, top, wide, top + shown.height)


def wide_profile() -> bytes:
    """An ICC profile with the primaries of Display P3 and a gamma of 2.2."""
    matrix = {"wtpt": (0.9642, 1.0, 0.8249), "rXYZ": (0.5151, 0.2412, -0.0011), "gXYZ": (0.2919, 0.6922, 0.0419), "bXYZ": (0.1572, 0.0666, 0.7841)}  # fmt: skip
    tags = {name: b"XYZ \0\0\0\0" + _fixed(*values) for name, values in matrix.items()}
    curve = b"curv" + struct.pack(">IIHH", 0, 1, round(2.2 * 256), 0)
    tags |= dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve)
    start = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(body), len(value))
        body += value
    head = struct.pack(">IIIIIII", start + len(body), 0, 0x02400000, *(int.from_bytes(word) for word in (b"mntr", b"RGB ", b"XYZ ")), 0)  # fmt: skip
    head += bytes(8) + b"acsp" + bytes(28) + _fixed(*matrix["wtpt"])
    return head + bytes(128 - len(head)) + table + body


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
