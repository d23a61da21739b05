"""What two photos are to each other, and whether the proof is good enough to act on unattended.

Owns the rules between evidence and relation; their bars stand in `core/bars.py`. Must never see a picture: it judges what
was measured.
In doubt the relation is weaker, and weaker means that a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dedupd.core import bars
from dedupd.core.confidence import calibration_for, features
from dedupd.core.formats import is_source
from dedupd.core.keeper import editor
from dedupd.core.photo import Candidate, Edge, Evidence, Measures, Relation, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bars on the cosine of one embedder. The bars on alignment are the same for all (`core/bars.py`)."""

    model: str
    candidate: float | None = None
    """Cosine from which a pair is aligned; None: only hashes propose."""
    similar: float | None = None
    """Cosine from which a pair of one month goes to review as `similar`; None: never by cosine."""
    burst: float | None = None
    """Cosine below which no burst moves unattended; None: no burst ever does."""
    calibrated: bool = False


_SHIPPED = {
    "": Thresholds(model="", calibrated=True),
    "lite0-gem/1": Thresholds(model="lite0-gem/1", candidate=0.70, similar=0.85, burst=0.87, calibrated=True),
}


def thresholds_for(model: str, similar: float | None = None) -> Thresholds:
    """The bars for `model`; `similar` is replaced by a person's own bar when given. An unknown model has no bars."""
    known = _SHIPPED.get(model) or Thresholds(model=model, candidate=0.70, similar=0.90)
    return known if similar is None else replace(known, similar=similar)


MEASURES = "12"
"""Version of `Measures`: pairs that were measured under another version are measured again."""


def twins(a: Traits, b: Traits) -> bool:
    """Whether both files came from one pipeline, as two shots do, and no clock says whether they are one shot or two.

    Copies of one photo differ in size or compression (all but 7 of 577 labelled pairs). Shots of a fixed camera or a
    bracket, and pages of one template, agree in both (294 of the 296 pairs that align well enough to be proposed).
    """
    # A date without a camera was written by hand, often the same one for a whole folder of scans or frames.
    if all(photo.captured is not None and photo.camera for photo in (a, b)):
        return False
    return one_pipeline(a, b)


def one_pipeline(a: Traits, b: Traits) -> bool:
    """Whether both files have one size and one compression."""
    if {a.width, a.height} != {b.width, b.height} or (a.format, a.subsampling) != (b.format, b.subsampling):
        return False
    if a.jpeg_quality is None or b.jpeg_quality is None:
        return a.jpeg_quality == b.jpeg_quality
    return abs(a.jpeg_quality - b.jpeg_quality) <= bars.TWIN_QUALITY


def provable(a: Traits, b: Traits) -> bool:
    """Whether both pictures show enough to be aligned; blank, black and tiny ones match by their bytes alone."""
    return (
        min(a.texture, b.texture) >= bars.BAND_STD
        and min(a.width, a.height, b.width, b.height) >= bars.LEAST_SIDE
    )


def relatable(a: Traits, b: Traits, hash_distance: int, *, same_month: bool) -> bool:
    """Whether any result of an alignment could make the pair an edge; if not, it is not aligned, which saves much time.

    Across months nothing is `similar`: two shots of different moments have no relation there, and two pictures of one
    pipeline are related only when they hardly differ.
    """
    if not provable(a, b) or one_in_two_forms(a, b):
        return False
    if same_month:
        return True
    if a.captured is not None and b.captured is not None:
        return not _two_moments(a, b)
    return hash_distance <= bars.TWIN_BITS or not twins(a, b)


def similar_at_best(a: Traits, b: Traits, pair: Candidate) -> bool:
    """Whether two photos of one month are look-alikes and no more, whatever an alignment would find: their clocks say that
    they are two moments, and that they resemble each other their vectors say. Most pairs of a camera's month are such.

    Still aligned: pages, of which other text is found only so; and what the hashes take for one picture.
    """
    if pair.cosine is None or pair.hash_distance <= bars.TWIN_BITS or a.text_like or b.text_like:
        return False
    return _two_moments(a, b)


def _two_moments(a: Traits, b: Traits) -> bool:
    """Whether the clocks of both allow neither a copy nor a burst."""
    if a.captured is None or b.captured is None:
        return False
    one_camera = bool(a.camera) and a.camera == b.camera
    return abs(a.captured - b.captured) > (bars.ONE_MOMENT_SECONDS if one_camera else bars.SAME_INSTANT)


def one_in_two_forms(a: Traits, b: Traits) -> bool:
    """Whether one was made from the other, a RAW or an editor's document: they belong together (P10), wherever they lie, and
    are no duplicates. A picture without camera or date may be a copy of anything, so a person is asked."""
    if is_source(a.format) == is_source(b.format) or None in (a.captured, b.captured):
        return False
    same_camera = bool(a.camera) and a.camera.split("|")[:2] == b.camera.split("|")[:2]
    return same_camera and abs(a.captured - b.captured) <= bars.SAME_INSTANT  # type: ignore[operator]


def may_be_burst(a: Traits, b: Traits) -> bool:
    """Whether their capture times are close enough for a burst that moves."""
    return _one_camera_within(a, b, bars.BURST_SECONDS)


def shot_twice(a: Traits, b: Traits) -> bool:
    """Whether one camera took both, and not at once; or it counts no parts of a second, and wrote both the same way."""
    if a.captured is None or b.captured is None or not may_be_burst(a, b):
        return False
    return abs(a.captured - b.captured) >= bars.EDIT_SECONDS or one_pipeline(a, b)


def may_be_two_shots(a: Traits, b: Traits, relation: Relation) -> bool:
    """Whether a change may be hidden between two that moved as this: they do not move today unless it was looked for."""
    return may_be_burst(a, b) and (relation is Relation.BURST or shot_twice(a, b))


def one_moment(a: Traits, b: Traits) -> bool:
    """Whether they are close enough for a burst that a person is asked about."""
    return _one_camera_within(a, b, bars.ONE_MOMENT_SECONDS)


def _one_camera_within(a: Traits, b: Traits, seconds: float) -> bool:
    if a.captured is None or b.captured is None or not a.camera:
        return False
    return a.camera == b.camera and abs(a.captured - b.captured) <= seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What may come of a pair, as far as it is known before either picture is looked at: it says which look is needed."""

    burst: bool = False
    """Their clocks allow a burst: what differs is then asked whether it is writing."""
    shot_twice: bool = False
    """Their clocks, or how both were written, say that they are no copies."""
    moment: bool = False
    """Their clocks allow a burst that a person is asked about."""
    asked: bool = True
    """A person would be asked about a copy that is not proven."""
    by_hashes: bool = True
    """No embedder says how much they look alike."""
    likely: bool = False
    """It will hardly be nothing."""

    @property
    def on_files_at_once(self) -> bool:
        """Nearly all such pairs are looked at closely: a look at what was kept of both would be one look more."""
        return self.burst or self.likely


def prospect(a: Traits, b: Traits, pair: Candidate) -> Prospect:
    """What may come of the candidate pair of `a` and `b`."""
    asked = may_be_asked(a, b)
    return Prospect(
        burst=may_be_burst(a, b), shot_twice=shot_twice(a, b), moment=one_moment(a, b), asked=asked,
        by_hashes=pair.cosine is None, likely=asked and pair.hash_distance <= bars.KEPT_BITS,
    )  # fmt: skip


def may_be_asked(a: Traits, b: Traits) -> bool:
    """Whether a person would be asked about the two if they look like copies without being proven ones."""
    if a.captured is not None and b.captured is not None and abs(a.captured - b.captured) > bars.SAME_INSTANT:
        return False
    return not twins(a, b)


def alike_as_a_burst(m: Measures) -> bool:
    """Whether the pictures show one scene in which little moved; otherwise they are no burst, whatever their clocks say."""
    return (
        m.method != "none" and min(m.overlap_a, m.overlap_b) >= bars.BURST_OVERLAP and m.ncc >= bars.BURST_NCC
    )


def worth_a_closer_look(m: Measures) -> bool:
    """Whether nothing measured so far speaks against an unattended copy, so that the slow comparison at higher resolution
    is worth its time."""
    return _aligned(m) and m.band_std >= bars.BAND_STD and not any(_differences(m, m.extra or {}))


def copy_or_bracket(m: Measures, may: Prospect) -> bool:
    """Whether two photos that a clock calls a burst, looked at closely, are a copy that moves, or else two exposures of a
    bracket, whatever their files say: then it is not asked whether what differs is writing, the last doubt about a burst."""
    extra = m.extra or {}
    return (
        may.asked
        and worth_a_closer_look(m)
        and _closely_alike(m, extra, bars.FINE_WORST_TEXT)
        and extra.get("tone", 9.0) <= bars.BRACKET_TONE
        and not _both_show_more(extra)
    )


def may_hide_a_change(m: Measures, may: Prospect) -> bool:
    """Whether nothing measured so far speaks against a move of two shots: then it is asked, last of all and in all their
    pixels, whether something small was changed in its place."""
    if not may.burst or (copy_or_bracket(m, may) and not may.shot_twice):
        return False
    extra = m.extra or {}
    return worth_a_closer_look(m) or (
        _one_framing(m, extra) and extra.get("written", bars.WRITING) < bars.WRITING
    )


def what_changed(m: Measures) -> str:
    """The clause on what was found to differ between two shots of one place; '' when nothing was, or nobody looked."""
    extra = m.extra or {}
    if extra.get("written", 0.0) >= bars.WRITING:
        return _WRITING
    return _IN_ITS_PLACE if _changed_in_place(extra) else ""


def plainly_apart(m: Measures, may: Prospect) -> bool:
    """Whether what was measured of kept pictures (`core/bars.py`) settles that the pair is nothing that moves: also with
    every measure as much better as the files themselves may make it, they were not worth a closer look.

    Nor is it a question for a person, who sees what was measured and may say yes, nor more of a look-alike where no
    embedder says that. In the dark, in fog and in sky what is measured is mostly what compression left.
    """
    best, faint = _at_best(m), (m.extra or {}).get("faint", 0.0)
    if worth_a_closer_look(best) or faint >= bars.KEPT_FAINT or (may.asked and _asks(best)):
        return False
    if may.moment and not _plainly_no_burst(m):
        return False
    if m.band_std < bars.KEPT_BAND_STD and _aligned(best) and best.ncc >= bars.KEPT_ALIKE:
        return False
    return not may.by_hashes or _lies_alike(best) == _lies_alike(m)


def _plainly_no_burst(m: Measures) -> bool:
    better = bars.KEPT_BURST
    return not alike_as_a_burst(
        replace(m, overlap_a=m.overlap_a + better, overlap_b=m.overlap_b + better, ncc=m.ncc + better)
    )


def _at_best(m: Measures) -> Measures:
    """The measures that the files of two kept pictures would give at best."""
    extra = dict(m.extra or {})
    for name, better in bars.KEPT_EXTRA.items():
        if name in extra:
            extra[name] += better
    for name, share in bars.KEPT_SHARES.items():
        if name in extra:
            extra[name] *= share
    if side := _painted(extra, least=1.0):
        extra["strokes_b" if side == "a" else "strokes_a"] *= bars.KEPT_STROKES
    return replace(
        m,
        inliers=2 * m.inliers,
        overlap_a=m.overlap_a + bars.KEPT_OVERLAP,
        overlap_b=m.overlap_b + bars.KEPT_OVERLAP,
        mean=bars.KEPT_MEAN * m.mean,
        worst=bars.KEPT_WORST * m.worst,
        ncc=m.ncc + bars.KEPT_NCC,
        band_ncc=m.band_ncc + bars.KEPT_NCC,
        band_std=2 * m.band_std,
        extra=extra,
    )


def classify(
    a: Traits,
    b: Traits,
    candidate: Candidate,
    measures: Measures | None,
    thresholds: Thresholds,
    same_month: bool,
) -> Edge | None:
    """The relation of two different contents, or None when they have none that a person should look at.

    `measures` is None when the pair could not be measured; its a and b are the candidate's.
    """
    if a.content != candidate.a:
        a, b = b, a
    if not provable(a, b) or one_in_two_forms(a, b):
        return None
    both_dated = a.captured is not None and b.captured is not None
    pair = _Pair(
        a=a,
        b=b,
        m=measures or Measures(),
        extra=(measures.extra if measures else None) or {},
        cosine=candidate.cosine,
        hash_distance=candidate.hash_distance,
        apart=abs(a.captured - b.captured) if both_dated else None,  # type: ignore[operator]
        same_camera=bool(a.camera) and a.camera == b.camera,
    )
    burst = _burst(pair, thresholds)
    found = burst if burst and burst[1] else None
    found = _copy(pair, found) or burst or _similar(pair, thresholds, same_month=same_month)
    if found is None:
        return None
    relation, unattended, why = found
    evidence = Evidence(
        cosine=candidate.cosine,
        hash_distance=candidate.hash_distance,
        measures=measures,
        seconds_apart=pair.apart,
        same_camera=pair.same_camera,
        model=thresholds.model,
    )
    x = features(a, b, evidence, proven=unattended and relation is Relation.COPY)
    confidence = calibration_for(thresholds.model).probability(x)
    if unattended and relation is Relation.BURST and confidence < bars.MORE_LIKELY_THAN_NOT:
        unattended, why = False, f"{why}; only {confidence:.0%} sure"
    return Edge(
        a=a.content, b=b.content, relation=relation, unattended=unattended, why=why,
        evidence=replace(evidence, confidence=confidence),
        graded=relation is Relation.BURST and not unattended and _graded(pair, thresholds),
    )  # fmt: skip


def laid_over(m: Measures) -> str:
    """The side ('a' or 'b') that has a stamp, a signature or a watermark over the picture that the other shows; else ''."""
    extra = m.extra or {}
    return _painted(extra) if _overlaid(m, extra) and not _closely_alike(m, extra, bars.FINE_WORST) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    a: Traits
    b: Traits
    m: Measures
    extra: dict[str, float]
    cosine: float | None
    hash_distance: int
    apart: float | None
    """Seconds between the camera's stamps; None unless both have one."""
    same_camera: bool

    @property
    def text(self) -> bool:
        return self.a.text_like or self.b.text_like

    @property
    def stamped(self) -> bool:
        """Text was laid over a picture that is not a page. On a page or a screen a written line is content (a signature, an
        answer, a sum) and never a stamp to be ignored."""
        bare = self.b if _painted(self.extra) == "a" else self.a
        return _overlaid(self.m, self.extra) and not (
            bare.text_like and self.extra.get("ink", 1.0) > bars.ALONE
        )

    @property
    def flat(self) -> bool:
        """Too little texture to prove anything by."""
        return min(self.a.texture, self.b.texture) < bars.BAND_STD or (
            self.aligned and self.m.band_std < bars.BAND_STD
        )

    @property
    def aligned(self) -> bool:
        return _aligned(self.m)

    @property
    def bracketed(self) -> bool:
        """Both files say how they were exposed, and it was not the same."""
        one, other = self.a.exposure, self.b.exposure
        return one is not None and other is not None and abs(one - other) > bars.SAME_STOP

    @property
    def two_shots(self) -> bool:
        """They came from one pipeline and are not one picture saved twice."""
        same = (
            self.extra.get("rest", 99.0) <= bars.TWIN_REST
            and self.extra.get("rest_worst", 99.0) <= bars.TWIN_WORST
        )
        return not same and twins(self.a, self.b)

    @property
    def locked(self) -> bool:
        """The frames align to a fraction of a pixel: a fixed camera, or a copy."""
        if self.m.method == "identity" and "flow50" not in self.extra:
            return True  # nothing was left to refine
        still = self.extra.get("flow50", 9.0) < bars.FIXED_FLOW
        return still and self.extra.get("flow_share", 0.0) > bars.FIXED_FLOW_SHARE


_Finding = tuple[Relation, bool, str]


def _copy(p: _Pair, burst: _Finding | None) -> _Finding | None:
    """A copy when that is proven; else the `burst` when that is proven; else a copy for review when it looks like one."""
    if p.flat or not (p.aligned or _few_details_agree(p)):
        return burst
    if not p.aligned:
        return burst or ((Relation.COPY, False, "few details to lay it by") if _looks_copied(p) else None)
    doubts = list(_doubts(p))
    if not doubts and not (burst and _both_show_more(p.extra)):
        return Relation.COPY, True, f"lies over it pixel by pixel (worst local difference {p.m.worst:.1f})"
    return burst or ((Relation.COPY, False, doubts[0]) if _looks_copied(p) else None)


def _few_details_agree(p: _Pair) -> bool:
    """Pictures with few features (a balloon in the sky) are aligned well when all their finest structure agrees."""
    return (
        p.m.method == "orb"
        and p.m.band_ncc >= bars.FEW_DETAILS
        and p.extra.get("fine_ncc", 0.0) >= bars.BAND_NCC
    )


def _both_show_more(extra: dict[str, float]) -> bool:
    return min(extra.get("beyond_a", 0.0), extra.get("beyond_b", 0.0)) > bars.BEYOND


def _aligned(m: Measures) -> bool:
    return m.method == "identity" or (m.method == "orb" and m.inliers >= bars.INLIERS)


def _doubts(p: _Pair) -> Iterator[str]:
    """What keeps the pair from being an unattended copy, gravest first, as clauses for people."""
    m, extra = p.m, p.extra
    if p.apart is not None and p.apart > bars.SAME_INSTANT:
        yield f"taken {_duration(p.apart)} apart"
    if p.a.camera and p.b.camera and not p.same_camera:
        yield "two different cameras"
    edited = editor(p.a) or editor(p.b) or None not in (p.a.exposure, p.b.exposure)
    if p.bracketed or (p.same_camera and extra.get("tone", 9.0) > bars.BRACKET_TONE and not edited):
        yield "may be two exposures of a bracket"
    yield from _differences(m, extra)
    if p.text and not (_closely_alike(m, extra, bars.FINE_WORST_TEXT) or p.stamped):
        yield "reads like text, and the text may differ"
    elif m.fine_worst is None or not (_closely_alike(m, extra, bars.FINE_WORST) or _overlaid(m, extra)):
        yield "looked at closely, a small part differs"
    if p.two_shots:
        yield "same size and compression: may be two shots from one place"
    if shot_twice(p.a, p.b) and _changed_in_place(extra):
        yield _IN_ITS_PLACE


def _differences(m: Measures, extra: dict[str, float]) -> Iterator[str]:
    """The doubts that come from the pixels."""
    if max(m.overlap_a, m.overlap_b) < bars.OVERLAP or min(m.overlap_a, m.overlap_b) < bars.SMALLER_OVERLAP:
        yield "neither shows all of the other"
    if min(extra.get("margin_a", 0.0), extra.get("margin_b", 0.0)) > bars.WRITTEN:
        yield "each has a caption of its own"
    if m.band_ncc < bars.BAND_NCC or extra.get("fine_ncc", 0.0) < bars.FINE_NCC or m.mean > bars.MEAN:
        yield "fine detail differs"
    if not (_everywhere_alike(m, extra) or _overlaid(m, extra)):
        yield "a part of the picture differs"
    if extra.get("flow50", 0.0) > bars.FLOW:
        yield "does not lie over it exactly"
    if extra.get("tone", 9.0) > bars.TONE:
        yield "brightness differs too much"


def _changed_in_place(extra: dict[str, float]) -> bool:
    return extra.get("island", 0.0) > bars.ISLAND


def _everywhere_alike(m: Measures, extra: dict[str, float]) -> bool:
    worst, local = m.worst, extra.get("local", 0.0)
    return worst <= bars.WORST and (
        local >= bars.LOCAL or (worst <= bars.WORST / 2 and local >= bars.LOCAL_FAINT)
    )


def _closely_alike(m: Measures, extra: dict[str, float], bar: float) -> bool:
    same_strokes = extra.get("through", 1.0) >= bars.SAME_STROKES
    return _everywhere_alike(m, extra) and same_strokes and m.fine_worst is not None and m.fine_worst <= bar


def _overlaid(m: Measures, extra: dict[str, float]) -> bool:
    """Whether the two differ only in thin strokes that one of them has: one line near the top or bottom (a date stamp, a
    name), or a watermark that the picture shows through.

    Twins never come this far: a template with and without its text comes from one pipeline.
    """
    if "sign" not in extra or not _painted(extra) or _on_paper(extra):
        return False
    if m.mean > bars.STAMP_MEAN or extra["thick"] > bars.STAMP_THICK or extra["around"] < bars.STAMP_AROUND:
        return False
    if m.fine_worst is not None and extra.get("fine_around", 99.0) > bars.FINE_WORST:
        return False
    only_one_way = extra["sign"] >= bars.SIGN_ONE_WAY
    one_way = only_one_way or _stroke_ratio(extra) >= bars.STROKE_ONE_WAY
    height, width = extra["y1"] - extra["y0"], extra["x1"] - extra["x0"]
    at_edge = extra["y0"] >= 1 - bars.STAMP_EDGE or extra["y1"] <= bars.STAMP_EDGE
    one_line = height <= bars.STAMP_HEIGHT and width >= bars.STAMP_SHAPE * height
    if one_way and at_edge and one_line and extra["unlike"] <= bars.STAMP_SHARE:
        return True
    through = extra.get("through", 0.0) >= bars.WATERMARK_THROUGH
    return only_one_way and through and extra["unlike"] <= bars.WATERMARK_SHARE


def _on_paper(extra: dict[str, float]) -> bool:
    """Whether the strokes stand on even ground, which may be the paper of a page that was not recognised as text."""
    ground, alone = extra.get("ground", 0.0), extra.get("ink", 1.0) <= bars.ALONE
    return ground < (bars.NOT_PAPER if alone else bars.UNEVEN)


def _painted(extra: dict[str, float], least: float = bars.STROKE_SIDE) -> str:
    """The side that has strokes where the other has none: 'a', 'b' or ''. `least`: ratio of both, at least."""
    if _stroke_ratio(extra) < least:
        return ""
    return "a" if extra["strokes_a"] > extra["strokes_b"] else "b"


def _stroke_ratio(extra: dict[str, float]) -> float:
    strokes = extra.get("strokes_a", 0.0), extra.get("strokes_b", 0.0)
    return max(strokes) / (min(strokes) + 0.01)


def _looks_copied(p: _Pair) -> bool:
    """Whether a person should be asked if one is an edited copy of the other."""
    m = p.m
    if p.apart is not None and (p.apart > bars.SAME_INSTANT or (p.same_camera and not p.locked)):
        return False
    if p.two_shots or (p.text and _other_text(p)):
        return False
    return _asks(m)


def _asks(m: Measures) -> bool:
    """Whether the pictures are alike enough for such a question."""
    if max(m.overlap_a, m.overlap_b) < bars.ASK_OVERLAP:
        return False
    if min(m.overlap_a, m.overlap_b) < bars.ASK_SMALLER_OVERLAP:
        return False
    return m.band_ncc >= bars.ASK_BAND_NCC and (m.extra or {}).get("fine_ncc", 0.0) >= bars.ASK_FINE_NCC


def _other_text(p: _Pair) -> bool:
    """They align, but other text stands in the same place."""
    if p.m.fine_worst is not None and p.m.fine_worst <= bars.OTHER_TEXT_FINE_WORST:
        return False
    both_ways = p.extra.get("sign", 1.0) < bars.OTHER_TEXT_SIGN and not _painted(p.extra)
    return p.extra.get("unlike", 0.0) > bars.OTHER_TEXT_SHARE or both_ways


def _burst(p: _Pair, thresholds: Thresholds) -> _Finding | None:
    if p.apart is None or not p.same_camera or p.apart > bars.ONE_MOMENT_SECONDS:
        return None
    unlike = p.cosine is not None and p.cosine < bars.LATE_COSINE
    if p.apart > bars.LATE_SECONDS and ((p.text and _other_text(p)) or unlike):
        return None
    one_subject = (
        p.apart <= bars.ONE_SUBJECT_SECONDS and p.cosine is not None and p.cosine >= bars.ONE_SUBJECT
    )
    if not (alike_as_a_burst(p.m) or one_subject):
        return None
    taken = f"same camera, {_duration(p.apart)} apart"
    doubts = list(_burst_doubts(p, p.apart, thresholds))
    return Relation.BURST, not doubts, f"{taken}; {doubts[0]}" if doubts else taken


_WRITING, _IN_ITS_PLACE = "what differs may be writing", "something small was changed in its place"
_UNLIKE, _TOO_LONG, _REFRAMED = "not alike enough to be sure", "too long for one burst", "the framing changed"


def _graded(p: _Pair, thresholds: Thresholds) -> bool:
    """Whether only measures of degree speak against a burst. Always False for an embedder without a bar for bursts."""
    doubts = _burst_doubts(p, p.apart or 0.0, thresholds)
    return (
        thresholds.burst is not None
        and alike_as_a_burst(p.m)
        and all(doubt in {_UNLIKE, _TOO_LONG, _REFRAMED} for doubt in doubts)
    )


def _burst_doubts(p: _Pair, apart: float, thresholds: Thresholds) -> Iterator[str]:
    m, extra = p.m, p.extra
    if thresholds.burst is None or p.cosine is None or p.cosine < thresholds.burst:
        yield _UNLIKE
    if apart > bars.BURST_SECONDS:
        yield _TOO_LONG
    if not _one_framing(m, extra):
        yield _REFRAMED
    if (
        p.bracketed
        or extra.get("tone", 9.0) > bars.BRACKET_TONE
        or (p.locked and m.mean > bars.BRACKET_MEAN and extra.get("local", 0.0) > bars.BRACKET_LOCAL)
    ):
        yield "may be two exposures of a bracket"
    if p.locked and apart < bars.EDIT_SECONDS:
        yield "may be an edit of the same shot"
    if p.locked and apart > bars.FIXED_CAMERA_SECONDS:
        yield "a fixed camera may have seen somebody else"
    if p.flat:
        yield "too little to see"
    unseen = apart <= bars.BURST_SECONDS or (p.text and m.worst > bars.WORST)
    if extra.get("written", 1.0 if unseen else 0.0) >= bars.WRITING:
        yield _WRITING
    if extra.get("island", 1.0 if apart <= bars.BURST_SECONDS else 0.0) > bars.ISLAND:
        yield _IN_ITS_PLACE


def _one_framing(m: Measures, extra: dict[str, float]) -> bool:
    shown = min(m.overlap_a, m.overlap_b) >= bars.FRAMED_OVERLAP and m.ncc >= bars.FRAMED_NCC
    return shown and m.mean <= bars.FRAMED_MEAN and extra.get("bad", 1.0) <= bars.FRAMED_BAD


def _similar(p: _Pair, thresholds: Thresholds, *, same_month: bool) -> _Finding | None:
    if not same_month or p.flat or (p.text and _other_text(p) and not _by_hand(p)):
        return None
    if p.cosine is None:
        alike = p.hash_distance <= bars.ALIKE_BITS or _lies_alike(p.m)
        return (
            (Relation.SIMILAR, False, f"looks alike ({p.hash_distance} of 64 hash bits differ)")
            if alike
            else None
        )
    if thresholds.similar is None or p.cosine < thresholds.similar:
        return None
    return Relation.SIMILAR, False, f"looks alike (cosine {p.cosine:.2f})"


def _lies_alike(m: Measures) -> bool:
    return _aligned(m) and m.ncc > bars.ALIKE_NCC and m.band_ncc > bars.ALIKE_BAND_NCC


def _by_hand(p: _Pair) -> bool:
    """Whether the frames differ as two shots held by hand do, and no clock says otherwise."""
    if p.apart is not None and p.apart > bars.ONE_MOMENT_SECONDS:
        return False
    return p.aligned and min(p.m.overlap_a, p.m.overlap_b) < bars.STOOD_STILL and p.m.ncc >= bars.SAME_VIEW


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return (
        f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.0f} h"
        if seconds < 172800
        else "days"
    )
