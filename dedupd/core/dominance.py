"""What would be lost if one file moved and the other stayed (promise P16).

Owns the comparison of what two files hold; its bars stand in `core/bars.py`. Must never look at a file, and never at what a picture says of
itself (date, place, camera): that goes into the sidecar, and only when sidecars are off it counts here too.

A file holds all of another when nothing of the other would be lost. That is a partial order where differences are larger
than an eye can see. Each of two files may lack something of the other; then a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dedupd.core import bars
from dedupd.core.formats import named
from dedupd.core.photo import Edge, Holding, Measures, Relation, Traits
from dedupd.core.relations import laid_over


class Aspect(StrEnum):
    """A respect in which one file can hold more than another."""

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
    SOURCE = "source"
    METADATA = "metadata"


NOTHING: frozenset[Aspect] = frozenset()
WAIVED = frozenset((Aspect.RESOLUTION, Aspect.LOSS))
"""What a keep policy chosen by a person gives up. Never colours, further pictures, films, or parts of the scene."""


def waived_by(policy: str) -> frozenset[Aspect]:
    """The aspects that this keep policy gives up."""
    return NOTHING if policy == "best" else WAIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that the file that moves holds and its keeper lacks."""

    aspect: Aspect
    clause: str
    """Said of the file that holds it: 'has the colours', 'has 2.4 s of film'."""


_FINE = 2
"""The class of coding whose loss nobody sees. Lossless and fine at one size look alike, and which was made from which no
pixel tells: a camera's JPEG and the PNG that a program saved of it, a scan and the JPEG exported from it. A person does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One file of a pair, with all that the rule compares."""

    traits: Traits
    holding: Holding
    overlap: float
    """Share of its picture that the other file shows too, 0 to 1."""
    beyond: float
    """Share of its picture that shows parts of the scene that the other lacks; a frame does not count."""
    marked: bool
    """Whether a stamp, a signature or a watermark was laid over it."""
    alone: float
    """Chroma in its worst block that the other cannot give, grey units at standard deviation 50."""
    spot: float
    """The same in a few pixels, of whichever of the two has more."""
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
        spot=extra.get("colour_spot", 0.0),
        tones=extra.get(f"tones_alone_{end}", 0.0),
        tones_level=extra.get(f"tones_level_{end}", 0.0),
        screen=extra.get(f"inside_{end}", 0.0),
    )


def lost(
    edge: Edge, mover: Traits, keeper: Traits, *, waived: frozenset[Aspect] = NOTHING, metadata: bool = False
) -> tuple[Loss, ...]:  # fmt: skip
    """What `mover` holds and `keeper` lacks, gravest first; empty when the keeper holds all that `mover` holds.

    `waived`: aspects that a person gave up. `metadata`: no sidecar will keep the metadata, so it counts too.
    """
    if edge.relation is Relation.EXACT or mover.content == keeper.content:
        return ()
    one, other = _sides(edge, mover, keeper)
    found = (*_lost(one, other, edge), *(_facts(one, other) if metadata else ()))
    return tuple(loss for loss in found if loss.aspect not in waived)


def badges(holding: Holding, other: Holding | None = None) -> tuple[str, ...]:
    """Short labels shown beside size and format: 'lossless', '16 bits', '2.4 s of film', 'gain map', 'no colours'.

    `other`: the picture it was compared with; 'no colours' is said only when the other has colours.
    """
    found = [f"{holding.depth} bits"] if holding.depth > 8 else []
    if holding.lossless:
        found.append("lossless copy of a JPEG" if holding.was_jpeg else "lossless")
    found += [f"{holding.palette} colours"] if holding.palette else []
    found += ["wide colours"] if holding.beyond_srgb > bars.BEYOND_SRGB else []
    found += ["transparent"] if holding.transparent else []
    if holding.clip:
        found.append(f"{holding.clip_seconds:.1f} s of film" if holding.clip_seconds else "film")
    found += holding.further
    found += ["enlarged"] if holding.enlarged >= bars.MADE_UP else []
    found += ["blurred"] if holding.blurred else []
    found += ["framed"] if holding.framed >= bars.FRAMED else []
    if (
        other is not None
        and other.colour >= bars.COLOURFUL
        and holding.colour < bars.FEWER_COLOURS * other.colour
    ):
        found.append("no colours")
    return tuple(found)


def preferred(edge: Edge, in_a: tuple[Loss, ...], in_b: tuple[Loss, ...]) -> str:
    """Which of the two, 'a' or 'b', should be the keeper when neither dominates the other; '': size and frame are equal.

    `in_a`: what only a holds. The larger one is the keeper until a person decides; else the one without a frame.
    """
    larger = [any(loss.aspect is Aspect.RESOLUTION for loss in losses) for losses in (in_a, in_b)]
    if larger[0] != larger[1]:
        return "a" if larger[0] else "b"
    m = edge.evidence.measures
    if in_a or in_b or m is None or m.holds_a is None or m.holds_b is None:
        return ""
    more = m.holds_a.framed - m.holds_b.framed
    return "" if abs(more) < bars.FRAMED else "b" if more > 0 else "a"


def _lost(mover: Side, keeper: Side, edge: Edge) -> Iterator[Loss]:
    yield from _source(mover.traits, keeper.traits)
    yield from _behind(mover.holding, keeper.holding)
    m = edge.evidence.measures
    if m is None:
        apart = edge.evidence.seconds_apart
        moment = edge.relation is Relation.SIMILAR and apart is not None and apart > bars.SAME_INSTANT
        clause = "shows another moment" if moment else "was not compared pixel by pixel"
        yield Loss(aspect=Aspect.AREA, clause=clause)
    elif m.method != "none":
        yield from _colour(mover, keeper, m, edge.relation)
        yield from _tones(mover, keeper, edge.relation)
        yield from _area(mover, keeper, edge.relation)
    yield from _pixels(mover, keeper, edge)


def _source(mover: Traits, keeper: Traits) -> Iterator[Loss]:
    """What pictures are made from, against other files: only a RAW holds its sensor's data, only an editor's document its
    layers, and neither holds the picture that a camera or a person made from them."""
    moves, keeps = named(mover.format), named(keeper.format)
    another = moves is not None and keeps is not None and moves.name == keeps.name
    if moves is not None and moves.source:
        yield Loss(aspect=Aspect.SOURCE, clause=f"is {'another' if another else 'the'} {moves.unread}")
    elif keeps is not None and keeps.source:
        made = "developed from a raw photo" if keeps.raw else "that any program shows"
        yield Loss(aspect=Aspect.SOURCE, clause=f"is a picture {made}")


def _behind(mover: Holding, keeper: Holding) -> Iterator[Loss]:
    """Losses of what the file holds besides its first picture: frames, pages, maps, films."""
    if mover.clip and mover.clip != keeper.clip:
        length = f"{mover.clip_seconds:.1f} s of film" if mover.clip_seconds else "a film"
        shorter = keeper.clip and mover.clip_seconds + bars.CLIP_SECONDS < keeper.clip_seconds
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
    """Losses of colour. For another moment of a burst, and under a stamp, only colours that are gone altogether count."""
    stamped, moment = laid_over(m), relation is Relation.BURST
    hues = (m.extra or {}).get("hues_most", m.hues) if stamped else m.hues
    clause = _colours_gone(one.holding, other.holding)
    if not clause and not moment:
        clause = _colours_changed(one.holding, other.holding, hues)
    # The nearest colour of a palette is no colour of the picture.
    own = not (moment or stamped or one.holding.palette)
    if not clause and own and one.alone > bars.COLOUR_ALONE:
        clause = "has other colours in a part of it"
    # Which of both is right, nothing tells: an eye may have been red, or been made so.
    if not clause and own and one.spot > bars.COLOUR_SPOT and not _colours_gone(other.holding, one.holding):
        clause = "has other colours in a small part of it"
    if not clause and _wider(one.holding, other.holding):
        clause = "has colours beyond sRGB"
    if clause:
        yield Loss(aspect=Aspect.COLOUR, clause=clause)


def _colours_gone(one: Holding, other: Holding) -> str:
    if max(one.colour, other.colour) < bars.COLOURFUL:
        return "has a tint" if one.tint > bars.TINTED and one.tint > bars.TINTED_RATIO * other.tint else ""
    return "has the colours" if other.colour < bars.FEWER_COLOURS * one.colour else ""


def _wider(one: Holding, other: Holding) -> bool:
    return one.beyond_srgb > bars.BEYOND_SRGB and other.beyond_srgb < bars.FEWER_COLOURS * one.beyond_srgb


def _colours_changed(one: Holding, other: Holding, hues: float) -> str:
    more, less = max(one.colour, other.colour), min(one.colour, other.colour)
    if more < bars.COLOURFUL or less < bars.FEWER_COLOURS * more:
        return ""
    if hues < bars.SAME_HUES:
        return "has other colours"
    if more > bars.SATURATION * less:
        return f"has {'stronger' if one.colour == more else 'softer'} colours"
    return ""


def _tones(one: Side, other: Side, relation: Relation) -> Iterator[Loss]:
    """Losses of tones. Not compared for another moment (other light), under a watermark, and when only one has colours:
    that one may tell apart by colour what the other tells apart by tone."""
    if relation is Relation.BURST or one.marked or _colours_gone(other.holding, one.holding):
        return
    if one.tones > bars.TONES_ALONE:
        dark, light = one.tones_level < bars.SHADOWS, one.tones_level > bars.HIGHLIGHTS
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
        if mover.overlap < bars.ANOTHER_MOMENT_OVERLAP:
            yield Loss(aspect=Aspect.AREA, clause="shows more of the scene")
        return
    if mover.beyond > bars.BEYOND:
        yield Loss(aspect=Aspect.AREA, clause=f"shows {mover.beyond:.0%} more of the scene")
    elif keeper.screen >= bars.ON_A_SCREEN:
        yield Loss(aspect=Aspect.AREA, clause="is the photo itself, not a screen that shows it")
    if keeper.marked:
        yield Loss(aspect=Aspect.MARKS, clause="has nothing written over it")


def _density(mover: Side, keeper: Side) -> float:
    """Ratio of the mover's pixels per length to the keeper's, over what both show."""
    shown = max(mover.overlap, 0.01) * mover.traits.width * mover.traits.height
    other = max(keeper.overlap, 0.01) * keeper.traits.width * keeper.traits.height
    return math.sqrt(shown / other) if other else 1.0


def _pixels(mover: Side, keeper: Side, edge: Edge) -> Iterator[Loss]:
    one, other, ratio = mover.holding, keeper.holding, _density(mover, keeper)
    if ratio > bars.LARGER:
        if one.enlarged < bars.MADE_UP:
            yield Loss(aspect=Aspect.RESOLUTION, clause=f"is {ratio:.1f} times as large")
    elif other.enlarged >= bars.PERHAPS:
        made = (
            "was not enlarged" if other.enlarged >= bars.MADE_UP else "may be the one that was not enlarged"
        )
        yield Loss(aspect=Aspect.RESOLUTION, clause=made)
    elif _perhaps_enlarged(mover, keeper, ratio, edge):
        yield Loss(
            aspect=Aspect.RESOLUTION,
            clause="has the camera's own data, and the other one, a little larger, may be made from it",
        )
    if other.blurred and not one.blurred:
        yield Loss(aspect=Aspect.RESOLUTION, clause="shows finer detail")
    if one.transparent and not other.transparent:
        yield Loss(aspect=Aspect.TRANSPARENCY, clause="has transparency")
    if _depth(one) > _depth(other):
        yield Loss(aspect=Aspect.DEPTH, clause=_deeper(one, other))
    yield from _coding(mover, keeper, ratio, edge)


def _perhaps_enlarged(mover: Side, keeper: Side, ratio: float, edge: Edge) -> bool:
    """Whether a keeper too little larger for its pixels to tell lacks what its camera would have written, and the mover has it."""
    too_little = 1 / bars.ENLARGED_FROM <= ratio < 1 / bars.LARGER
    told = bool(mover.traits.camera) and not keeper.traits.camera
    return too_little and told and edge.relation is Relation.COPY


def _depth(holding: Holding) -> int:
    """A palette is less than 8 bits a channel."""
    return min(holding.depth, 8) - 1 if holding.palette else holding.depth


def _deeper(one: Holding, other: Holding) -> str:
    if other.palette:
        return f"has more than {other.palette} colours"
    return f"has {one.depth} bits a channel, not {other.depth}"


def _coding(mover: Side, keeper: Side, ratio: float, edge: Edge) -> Iterator[Loss]:
    """Losses by compression, which count only where neither has clearly more pixels."""
    one, other = _coded(mover), _coded(keeper)
    larger = ratio < 1 / bars.LARGER and keeper.holding.enlarged < bars.PERHAPS
    if larger and (other >= _FINE or (other > 0 and ratio < 1 / bars.MUCH_LARGER)):
        return
    known = edge.evidence.measures
    rest = ((known.extra or {}) if known else {}).get("rest")
    same_size = 1 / bars.LARGER <= ratio <= bars.LARGER
    if same_size and rest is not None and rest <= bars.SAME_PIXELS:
        return
    if same_size and _starved(keeper, mover):
        yield Loss(aspect=Aspect.LOSS, clause="is much less compressed")
    elif one > other:
        clause = "is saved without loss" if mover.holding.lossless else "is much less compressed"
        yield Loss(aspect=Aspect.LOSS, clause=clause)
    elif same_size and one == _FINE and other > _FINE and edge.relation is Relation.COPY:
        yield Loss(aspect=Aspect.LOSS, clause="may be the photo that the lossless one was made from")


def _starved(side: Side, jpeg: Side) -> bool:
    """Whether a WebP, HEIC or AVIF, which records no quality, has far fewer bits than a good JPEG of the same picture.

    At equal quality they need a half to a quarter of the bits.
    """
    quality, bits = jpeg.traits.jpeg_quality, side.holding.bits
    if side.traits.jpeg_quality is not None or side.holding.lossless or quality is None or not bits:
        return False
    return quality >= bars.STARVING_QUALITY and bits < bars.FEWEST_BITS * jpeg.holding.bits


def _coded(side: Side) -> int:
    """3 lossless, 2 no loss to be seen at full size, 1 some, 0 much. A palette of a photograph is a loss too."""
    if side.holding.lossless:
        if side.holding.was_jpeg:
            return _FINE
        photographic = side.holding.palette >= bars.PHOTOGRAPHIC_PALETTE and not side.traits.text_like
        return 1 if photographic else 3
    quality = side.traits.jpeg_quality
    if quality is None:
        return 2
    return 2 if quality >= bars.FINE_QUALITY else 1 if quality >= bars.COARSE_QUALITY else 0


def _facts(mover: Side, keeper: Side) -> Iterator[Loss]:
    """Losses of metadata; asked only when no sidecar will hold it."""
    for kind in mover.holding.says:
        if kind not in keeper.holding.says:
            yield Loss(aspect=Aspect.METADATA, clause=f"knows its {kind}")
    if mover.traits.camera and not keeper.traits.camera:
        yield Loss(aspect=Aspect.METADATA, clause="knows its camera")
