"""A library that never was: groups of every relation, and small pictures drawn for them on demand."""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from dedupd.protocol.views import EvidenceView, GroupView, PhotoView

ROOT = "/home/ann/Pictures"
_KINDS = (
    ("exact", 1),
    ("copy", 1),
    ("copy", 2),
    ("burst", 1),
    ("similar", 1),
    ("burst", 3),
    ("copy", 1),
    ("exact", 2),
)
"""(relation, members beside the keeper), over and over."""
_SIZE = (384, 256)


@dataclass(slots=True, kw_only=True)
class Scene:
    """One group and how to draw its pictures. File ids are group id * 100 + index."""

    group: GroupView
    photos: list[PhotoView]

    def thumbnail(self, folder: Path, index: int) -> Path:
        path = folder / f"{self.group.id}-{index}.jpg"
        if not path.exists():
            picture = draw(
                self.group.id, shift=index * 9 if self.group.relation in ("burst", "similar") else 0
            )
            if self.group.relation == "copy" and index == 2:
                wide, high = picture.size
                picture = picture.crop((wide // 10, high // 10, wide - wide // 10, high - high // 10))
            if self.group.relation == "similar" and index:
                picture = draw(self.group.id + 1, shift=40)
            picture.save(path, quality=60 if self.group.relation == "copy" and index else 88)
        return path


def make_library(groups: int, months: int) -> list[Scene]:
    """`groups` groups spread over `months` months that end in June 2024, newest month first."""
    per_month = -(-groups // months)
    return [_scene(number + 1, _month(number // per_month)) for number in range(groups)]


def _month(back: int) -> str:
    index = 2024 * 12 + 5 - back
    return f"{index // 12:04}-{index % 12 + 1:02}"


def _scene(id: int, month: str) -> Scene:
    relation, count = _KINDS[(id - 1) % len(_KINDS)]
    year, _, number = month.partition("-")
    stem = f"{year}/{number}/IMG_{1000 + id}"
    names = [f"{stem}.jpg", *(_name(stem, relation, i) for i in range(1, count + 1))]
    captured = 1_717_000_000.0 + id * 3600
    photos = [_photo(id, index, name, relation, captured) for index, name in enumerate(names)]
    proven = relation in ("exact", "copy")
    side = [photo.path for photo in photos[1:]]
    freed = sum(photo.size for photo in photos[1:])
    group = GroupView(
        id=id,
        root=ROOT,
        month=month,
        relation=relation,
        state="proposed" if proven else "review",
        keep=names[0],
        duplicates=side if proven else [],
        review=[] if proven else side,
        evidence={name: _evidence(relation, index) for index, name in enumerate(names) if index},
        why=dict.fromkeys(side, _WHY[relation]),
        reasons=_REASONS[relation],
        bytes=freed if proven else 0,
        review_bytes=0 if proven else freed,
        captured=captured,
        version=1,
        files={photo.path: photo.file for photo in photos},
    )
    return Scene(group=group, photos=photos)


_WHY = {
    "exact": "the same bytes, compared again at the move",
    "copy": "aligned, and nothing but compression noise is left between them",
    "burst": "2 s apart, but the framing moved: below the strict bar",
    "similar": "the vectors are near; aligning found two different pictures",
}
_REASONS = {
    "exact": ["shortest clean name"],
    "copy": ["most pixels", "camera original: no editor has saved it", "carries GPS"],
    "burst": ["sharpest of the burst"],
    "similar": ["oldest"],
}


def _name(stem: str, relation: str, index: int) -> str:
    return {
        "exact": f"{stem} ({index}).jpg",
        "copy": f"{stem}-edited-{index}.jpg" if index > 1 else f"{stem}_WhatsApp.jpeg",
        "burst": f"{stem[:-4]}{int(stem[-4:]) + index + 5000}.jpg",
    }.get(relation, f"{stem}_{index}.heic")


def _photo(id: int, index: int, path: str, relation: str, captured: float) -> PhotoView:
    copy, burst = relation == "copy" and index > 0, relation == "burst"
    role = "keeper" if index == 0 else "duplicate" if relation in ("exact", "copy") else "review"
    return PhotoView(
        file=id * 100 + index,
        path=path,
        where=f"{ROOT}/{path}",
        role=role,
        size=(610_000 if copy else 4_100_000 + id * 977 % 900_000) + index * 12_345 * (relation != "exact"),
        width=1600 if copy else 4032,
        height=1067 if copy else 2688,
        format="HEIC" if path.endswith("heic") else "JPEG",
        captured=None if copy else captured + index * 2 * (burst or relation == "similar"),
        camera="" if copy else "Apple|iPhone 13|",
        software="Snapseed 2.0" if copy and index > 1 else "",
        mtime=captured + index * 86400,
        sharpness=(212.0 - index * 31) if relation != "exact" else 212.0,
        jpeg_quality=None if path.endswith("heic") else 72.0 if copy else 93.0,
        metadata_fields=4 if copy else 38,
        has_gps=not copy,
        companions=[path.replace(".jpg", ".xmp")] if index == 0 and id % 5 == 0 else [],
    )


def _evidence(relation: str, index: int) -> EvidenceView:
    return {
        "exact": EvidenceView(relation="exact", confidence=1.0),
        "copy": EvidenceView(
            relation="copy",
            cosine=0.991,
            hash_distance=2,
            overlap=0.998 if index < 2 else 0.64,
            residual=3.2,
            confidence=0.998,
        ),
        "burst": EvidenceView(
            relation="burst",
            cosine=0.962,
            hash_distance=9,
            overlap=0.93,
            residual=24.0,
            seconds_apart=2.0 * index,
            confidence=0.87,
        ),
    }.get(relation, EvidenceView(relation="similar", cosine=0.913, hash_distance=21, confidence=0.31))


def draw(seed: int, shift: int = 0) -> Image.Image:
    """A landscape: sky, sun, hills, a house; another seed, another one. shift moves what stands in front, in px."""
    dice = random.Random(seed)
    wide, high = _SIZE
    hue = dice.random()
    picture = Image.new("RGB", _SIZE)
    pen = ImageDraw.Draw(picture)
    for y in range(high):
        pen.line((0, y, wide, y), fill=_rgb(hue, 0.55 - 0.4 * y / high, 0.55 + 0.4 * y / high))
    x, y, r = dice.randrange(40, wide - 40), dice.randrange(25, 90), dice.randrange(12, 26)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=_rgb(0.13, 0.4, 1.0))
    for layer in range(3):
        base = 120 + layer * 40
        points = (
            [(0, high)]
            + [(px, base - dice.randrange(0, 60 - layer * 12)) for px in range(0, wide + 48, 48)]
            + [(wide, high)]
        )
        pen.polygon(points, fill=_rgb(hue + 0.3 + layer * 0.05, 0.45, 0.55 - layer * 0.14))
    left = dice.randrange(30, wide - 150) + shift
    pen.rectangle((left, 170, left + 56, 214), fill=_rgb(dice.random(), 0.5, 0.9))
    pen.polygon(((left - 6, 170), (left + 28, 140), (left + 62, 170)), fill=_rgb(dice.random(), 0.7, 0.5))
    pen.rectangle((left + 22, 188, left + 34, 214), fill=(60, 40, 30))
    for _ in range(90):
        gx, gy = dice.randrange(0, wide), dice.randrange(205, high)
        pen.line(
            (gx, gy, gx + dice.randrange(-3, 3), gy - dice.randrange(4, 12)),
            fill=_rgb(0.3, 0.6, dice.uniform(0.2, 0.6)),
        )
    return picture.filter(ImageFilter.SMOOTH)


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, max(0.0, min(1.0, saturation)), max(0.0, min(1.0, value)))
    return round(red * 255), round(green * 255), round(blue * 255)
