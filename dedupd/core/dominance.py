"""What would be lost if one file moved and another stayed: the rule of promise P16.

Owns the comparison of what two files hold, and its bars. Must never look at a file, and never at what a picture says of
itself (date, place, camera): that goes into the sidecar, and only when sidecars are off it counts here too.

A file holds all of another when nothing of the other would be lost. That is a partial order where differences are larger
than what no eye tells apart: of two files each may lack something, and then a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.formats import is_raw_format
from dedupd.core.photo import Edge, Holding, Measures, Relation, Traits
from dedupd.core.relations import laid_over


class Aspect(StrEnum):
    """What a file can hold more of than another."""

    AREA = "area"
    MARKS = "marks"
    RESOLUTION = "resolution"
    COLOUR = "colour"
    TONES = "tones"
    DEPTH = "depth"
    TRANSPARENCY = "transparency"
    LOSS = "loss"
    FURTHER = "further"
    CLIP = "clip"
    RAW = "raw"
    METADATA = "metadata"


NOTHING: frozenset[Aspect] = frozenset()
WAIVED = frozenset((Aspect.RESOLUTION, Aspect.LOSS))
"""What a person's own keep policy gives up. Never colours, further pictures, films, or parts of the scene."""


def waived_by(policy: str) -> frozenset[Aspect]:
    """What this keep policy gives up."""
    return NOTHING if policy == "best" else WAIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that the file that moves holds and its keeper lacks."""

    aspect: Aspect
    clause: str
    """Said of the file that holds it, and of no other: 'has the colours', 'has 2.4 s of film'."""


_BEYOND = 0.03
"""Share of a picture that the other may lack: rounding of the fit, the letters of a caption bar."""
_BURST_OVERLAP = 0.8
_ON_A_SCREEN = 0.95
"""Share of what plain margins surround that the other shows too: then the margins are a screen or a frame."""
_LARGER = 1.1
"""Ratio of pixels a length from which one is larger."""
_MADE_UP, _PERHAPS = 0.9, 0.6
"""Probability that a picture is an enlargement: above, it holds nothing more; between, nobody knows."""
_MUCH_LARGER = 1.5
"""From here a lossy picture shows all that a smaller lossless or finer coded one does."""
_COLOURFUL = 4.0
"""Own chroma of a picture with colours, grey units. Grey and sepia prints: below 1.5."""
_FEWER_COLOURS = 0.35
"""Own chroma beside the other's: below it, the colours are gone."""
_SATURATION = 2.0
"""Ratio of own chromas that an edit may make: saturation by 30 %, and what contrast adds."""
_SAME_HUES = 0.85
_TINTED = 6.0
_COLOUR_ALONE = 24.0
"""Of 240 labelled copies (saved again, smaller, cropped, turned) at most 4.1, of 34 light edits at most 16.8
(of 20 painted ones in vivid colours 20.5). The most colourful 2, 5 or 13 % of 60 photos made grey: 95 % above 24."""
_BEYOND_SRGB = 0.005
"""Share of a picture in colours of a wide profile that its sRGB copy cannot have: a flower, a jersey, a neon sign."""
_TONES_ALONE = 1.0
"""187 labelled copies (saved again, smaller, cropped, turned): at most 0.17 either way; curves, saturation and contrast that
clip nothing, sharpening: 0.8. 3 bits a channel: all above 2; 4 bits 1.5, five of ten; contrast by a half 3.5."""
_SHADOWS, _HIGHLIGHTS = 64, 192
_FRAMED = 0.01
_FINE_QUALITY, _COARSE_QUALITY = 70.0, 45.0
"""JPEG quality from which no eye sees the loss at full size; and below which everybody does."""
_FINE = 2
"""The class of coding whose loss nobody sees. Lossless and fine at one size look alike, and which was made from which no
pixel tells: a camera's JPEG and the PNG that a program saved of it, a scan and the JPEG exported from it. A person does."""
_STARVING_QUALITY, _FEWEST_BITS = 60.0, 0.15
_SAME_PIXELS = 0.5
"""Root mean square difference, grey levels: saved anew without loss to speak of."""
_CLIP_SECONDS = 0.2
_PHOTOGRAPHIC_PALETTE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One end of a pair, as the rule sees it."""

    traits: Traits
    holding: Holding
    overlap: float
    """Share of its picture that the other shows too."""
    beyond: float
    """Share of it that is more of the scene than the other shows; a frame is none."""
    marked: bool
    """A stamp, a signature or a watermark was laid over it."""
    alone: float
    """Chroma in its worst block that the other cannot give, grey units at standard deviation 50."""
    tones: float
    """Spread of its levels that the other shows as one, grey units at standard deviation 50."""
    tones_level: float
    """Which level of the other that is, 0 to 255."""
    screen: float
    """Share of what its wide plain margins surround that the other shows too: a screen that the other was shown on."""


def _sides(edge: Edge, mover: Traits, keeper: Traits) -> tuple[Side, Side]:
    """(mover, keeper) of a typed pair."""
    m = edge.evidence.measures or Measures(overlap_a=1.0, overlap_b=1.0)
    one, other = ("a", "b") if mover.content == edge.a else ("b", "a")
    return _side(one, mover, m), _side(other, keeper, m)


def _side(end: str, traits: Traits, m: Measures) -> Side:
    """The 'a' or 'b' end of what was measured."""
    holding, overlap = (m.holds_a, m.overlap_a) if end == "a" else (m.holds_b, m.overlap_b)
    extra = m.extra or {}
    return Side(
        traits=traits,
        holding=holding or Holding(),
        overlap=overlap,
        beyond=extra.get(f"beyond_{end}", 1 - overlap),
        marked=laid_over(m) == end,
        alone=extra.get(f"colour_alone_{end}", 0.0),
        tones=extra.get(f"tones_alone_{end}", 0.0),
        tones_level=extra.get(f"tones_level_{end}", 0.0),
        screen=extra.get(f"inside_{end}", 0.0),
    )


def lost(
    edge: Edge, mover: Traits, keeper: Traits, *, waived: frozenset[Aspect] = NOTHING, metadata: bool = False
) -> tuple[Loss, ...]:  # fmt: skip
    """What `mover` holds and `keeper` lacks, gravest first; empty when the keeper holds all of it.

    `waived`: aspects that a person gave up. `metadata`: nothing writes it down elsewhere, so it counts.
    """
    if edge.relation is Relation.EXACT or mover.content == keeper.content:
        return ()
    one, other = _sides(edge, mover, keeper)
    found = (*_lost(one, other, edge), *(_facts(one, other) if metadata else ()))
    return tuple(loss for loss in found if loss.aspect not in waived)


def badges(holding: Holding, other: Holding | None = None) -> tuple[str, ...]:
    """What a picture wears beside its size and format: 'lossless', '16 bits', '2.4 s of film', 'gain map', 'no colours'.

    `other`: the picture it was compared with; only beside one that has them are missing colours worth a word.
    """
    found = [f"{holding.depth} bits"] if holding.depth > 8 else []
    if holding.lossless:
        found.append("lossless copy of a JPEG" if holding.was_jpeg else "lossless")
    found += [f"{holding.palette} colours"] if holding.palette else []
    found += ["wide colours"] if holding.beyond_srgb > _BEYOND_SRGB else []
    found += ["transparent"] if holding.transparent else []
    if holding.clip:
        found.append(f"{holding.clip_seconds:.1f} s of film" if holding.clip_seconds else "film")
    found += holding.further
    found += ["enlarged"] if holding.enlarged >= _MADE_UP else []
    found += ["blurred"] if holding.blurred else []
    found += ["framed"] if holding.framed >= _FRAMED else []
    if other is not None and other.colour >= _COLOURFUL and holding.colour < _FEWER_COLOURS * other.colour:
        found.append("no colours")
    return tuple(found)


def dominates(one: Traits, other: Traits, edge: Edge, *, waived: frozenset[Aspect] = NOTHING) -> bool:
    """Whether `one` holds all that `other` holds, and more."""
    return not lost(edge, other, one, waived=waived) and bool(lost(edge, one, other, waived=waived))


def preferred(edge: Edge, in_a: tuple[Loss, ...], in_b: tuple[Loss, ...]) -> str:
    """The end, 'a' or 'b', that keeps where neither holds all of the other, or both do; '' when nothing of this tells.

    `in_a`: what only a holds. The larger one keeps while a person decides; else the one around which no frame was laid.
    """
    larger = [any(loss.aspect is Aspect.RESOLUTION for loss in losses) for losses in (in_a, in_b)]
    if larger[0] != larger[1]:
        return "a" if larger[0] else "b"
    m = edge.evidence.measures
    if in_a or in_b or m is None or m.holds_a is None or m.holds_b is None:
        return ""
    more = m.holds_a.framed - m.holds_b.framed
    return "" if abs(more) < _FRAMED else "b" if more > 0 else "a"


def _lost(mover: Side, keeper: Side, edge: Edge) -> Iterator[Loss]:
    yield from _sensor(mover.traits, keeper.traits)
    yield from _behind(mover.holding, keeper.holding)
    m = edge.evidence.measures
    if m is None:
        yield Loss(aspect=Aspect.AREA, clause="could not be compared")
    elif m.method != "none":
        yield from _colour(mover, keeper, m, edge.relation)
        yield from _tones(mover, keeper, edge.relation)
        yield from _area(mover, keeper, edge.relation)
    yield from _pixels(mover, keeper, edge)


def _sensor(mover: Traits, keeper: Traits) -> Iterator[Loss]:
    """What was compared of a RAW is one way to develop it. Its sensor's data nothing else holds; and it holds no
    picture that somebody, or the camera, developed of them."""
    if is_raw_format(mover.format):
        clause = "is another raw photo" if is_raw_format(keeper.format) else "is the raw photo"
        yield Loss(aspect=Aspect.RAW, clause=clause)
    elif is_raw_format(keeper.format):
        yield Loss(aspect=Aspect.RAW, clause="is a picture developed from a raw photo")


def _behind(mover: Holding, keeper: Holding) -> Iterator[Loss]:
    """What lies behind the first picture."""
    if mover.clip and mover.clip != keeper.clip:
        length = f"{mover.clip_seconds:.1f} s of film" if mover.clip_seconds else "a film"
        shorter = keeper.clip and mover.clip_seconds + _CLIP_SECONDS < keeper.clip_seconds
        yield Loss(aspect=Aspect.CLIP, clause=f"has {'another film' if shorter else length} in it")
    for kind in mover.further:
        if kind not in keeper.further:
            yield Loss(aspect=Aspect.FURTHER, clause=f"has {_article(kind)} behind its picture")
    if set(mover.further) <= set(keeper.further) and not set(mover.further_ids) <= set(keeper.further_ids):
        yield Loss(aspect=Aspect.FURTHER, clause="has another picture behind its first")


def _article(kind: str) -> str:
    bare = kind[:1].isdigit() or kind in {"layers", "sound"} or kind.startswith("a ")
    return kind if bare else f"a {kind}"


def _colour(one: Side, other: Side, m: Measures, relation: Relation) -> Iterator[Loss]:
    """What `one` has of colour. Another moment has its own colours, and a stamp may: of a burst only that they are gone counts."""
    stamped, moment = laid_over(m), relation is Relation.BURST
    hues = (m.extra or {}).get("hues_most", m.hues) if stamped else m.hues
    clause = _colours_gone(one.holding, other.holding)
    if not clause and not moment:
        clause = _colours_changed(one.holding, other.holding, hues)
    # The nearest colour of a palette is no colour of the picture.
    own = not (moment or stamped or one.holding.palette)
    if not clause and own and one.alone > _COLOUR_ALONE:
        clause = "has other colours in a part of it"
    if not clause and _wider(one.holding, other.holding):
        clause = "has colours beyond sRGB"
    if clause:
        yield Loss(aspect=Aspect.COLOUR, clause=clause)


def _colours_gone(one: Holding, other: Holding) -> str:
    if max(one.colour, other.colour) < _COLOURFUL:
        return "has a tint" if one.tint > _TINTED and one.tint > 3 * other.tint else ""
    return "has the colours" if other.colour < _FEWER_COLOURS * one.colour else ""


def _wider(one: Holding, other: Holding) -> bool:
    return one.beyond_srgb > _BEYOND_SRGB and other.beyond_srgb < _FEWER_COLOURS * one.beyond_srgb


def _colours_changed(one: Holding, other: Holding, hues: float) -> str:
    more, less = max(one.colour, other.colour), min(one.colour, other.colour)
    if more < _COLOURFUL or less < _FEWER_COLOURS * more:
        return ""
    if hues < _SAME_HUES:
        return "has other colours"
    if more > _SATURATION * less:
        return f"has {'stronger' if one.colour == more else 'softer'} colours"
    return ""


def _tones(one: Side, other: Side, relation: Relation) -> Iterator[Loss]:
    """Another moment has its own light, a watermark its own tones, and what a picture without colours tells apart by its
    tones, one with them tells apart by its colours."""
    if relation is Relation.BURST or one.marked or _colours_gone(other.holding, one.holding):
        return
    if one.tones > _TONES_ALONE:
        dark, light = one.tones_level < _SHADOWS, one.tones_level > _HIGHLIGHTS
        what = (
            "detail in the shadows"
            if dark
            else "detail in the highlights"
            if light
            else "finer steps of tone"
        )
        yield Loss(aspect=Aspect.TONES, clause=f"has {what}")


def _area(mover: Side, keeper: Side, relation: Relation) -> Iterator[Loss]:
    if relation is Relation.BURST:
        if mover.overlap < _BURST_OVERLAP:
            yield Loss(aspect=Aspect.AREA, clause="shows more of the scene")
        return
    if mover.beyond > _BEYOND:
        yield Loss(aspect=Aspect.AREA, clause=f"shows {mover.beyond:.0%} more of the scene")
    elif keeper.screen >= _ON_A_SCREEN:
        yield Loss(aspect=Aspect.AREA, clause="is the photo itself, not a screen that shows it")
    if keeper.marked:
        yield Loss(aspect=Aspect.MARKS, clause="has nothing written over it")


def _density(mover: Side, keeper: Side) -> float:
    """Pixels a length of the mover for one of the keeper, over what both show."""
    shown = max(mover.overlap, 0.01) * mover.traits.width * mover.traits.height
    other = max(keeper.overlap, 0.01) * keeper.traits.width * keeper.traits.height
    return math.sqrt(shown / other) if other else 1.0


def _pixels(mover: Side, keeper: Side, edge: Edge) -> Iterator[Loss]:
    one, other, ratio = mover.holding, keeper.holding, _density(mover, keeper)
    if ratio > _LARGER:
        if one.enlarged < _MADE_UP:
            yield Loss(aspect=Aspect.RESOLUTION, clause=f"is {ratio:.1f} times as large")
    elif other.enlarged >= _PERHAPS:
        made = "was not enlarged" if other.enlarged >= _MADE_UP else "may be the one that was not enlarged"
        yield Loss(aspect=Aspect.RESOLUTION, clause=made)
    if other.blurred and not one.blurred:
        yield Loss(aspect=Aspect.RESOLUTION, clause="shows finer detail")
    if one.transparent and not other.transparent:
        yield Loss(aspect=Aspect.TRANSPARENCY, clause="has transparency")
    if _depth(one) > _depth(other):
        yield Loss(aspect=Aspect.DEPTH, clause=_deeper(one, other))
    yield from _coding(mover, keeper, ratio, edge)


def _depth(holding: Holding) -> int:
    """A palette is less than 8 bits a channel."""
    return min(holding.depth, 8) - 1 if holding.palette else holding.depth


def _deeper(one: Holding, other: Holding) -> str:
    if other.palette:
        return f"has more than {other.palette} colours"
    return f"has {one.depth} bits a channel, not {other.depth}"


def _coding(mover: Side, keeper: Side, ratio: float, edge: Edge) -> Iterator[Loss]:
    """Loss by compression counts where nobody's pixels outweigh it."""
    one, other = _coded(mover), _coded(keeper)
    larger = ratio < 1 / _LARGER and keeper.holding.enlarged < _PERHAPS
    if larger and (other >= _FINE or (other > 0 and ratio < 1 / _MUCH_LARGER)):
        return
    known = edge.evidence.measures
    rest = ((known.extra or {}) if known else {}).get("rest")
    same_size = 1 / _LARGER <= ratio <= _LARGER
    if same_size and rest is not None and rest <= _SAME_PIXELS:
        return
    if same_size and _starved(keeper, mover):
        yield Loss(aspect=Aspect.LOSS, clause="is much less compressed")
    elif one > other:
        clause = "is saved without loss" if mover.holding.lossless else "is much less compressed"
        yield Loss(aspect=Aspect.LOSS, clause=clause)
    elif same_size and one == _FINE and other > _FINE and edge.relation is Relation.COPY:
        yield Loss(aspect=Aspect.LOSS, clause="may be the photo that the lossless one was made from")


def _starved(side: Side, jpeg: Side) -> bool:
    """Whether a WebP, HEIC or AVIF, which tells no quality, has far fewer bits than a JPEG of the same picture that looks well.

    At like quality they take a half to a quarter.
    """
    quality, bits = jpeg.traits.jpeg_quality, side.holding.bits
    if side.traits.jpeg_quality is not None or side.holding.lossless or quality is None or not bits:
        return False
    return quality >= _STARVING_QUALITY and bits < _FEWEST_BITS * jpeg.holding.bits


def _coded(side: Side) -> int:
    """3 lossless, 2 no loss to be seen at full size, 1 some, 0 much. A palette of a photograph is a loss too."""
    if side.holding.lossless:
        if side.holding.was_jpeg:
            return _FINE
        photographic = side.holding.palette >= _PHOTOGRAPHIC_PALETTE and not side.traits.text_like
        return 1 if photographic else 3
    quality = side.traits.jpeg_quality
    if quality is None:
        return 2
    return 2 if quality >= _FINE_QUALITY else 1 if quality >= _COARSE_QUALITY else 0


def _facts(mover: Side, keeper: Side) -> Iterator[Loss]:
    """Only when no sidecar will hold them."""
    for kind in mover.holding.says:
        if kind not in keeper.holding.says:
            yield Loss(aspect=Aspect.METADATA, clause=f"knows its {kind}")
    if mover.traits.camera and not keeper.traits.camera:
        yield Loss(aspect=Aspect.METADATA, clause="knows its camera")
