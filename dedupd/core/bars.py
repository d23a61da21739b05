"""Every bar between what was measured and what is decided, each beside the experiment that gave it.

Owns the numbers of `core/relations.py` (what two photos are to each other), `core/dominance.py` (what one holds that the
other lacks), `core/lessons.py` (how far a verdict reaches), `core/series.py` and `core/clusters.py` (which pairs are
compared, which share a group). Must never hold a rule: which bars a decision asks for stands there. The bars that belong
to one embedder are in `core/relations.py` (`Thresholds`, shipped) and `core/thresholds.py` (measured on the library).

Galleries named below: 957 labelled photos with 1380 generated copies of 40 kinds, and 1100 adversarial pairs (fixed
cameras with another subject, one document or card with another text, sky, fog, brackets). "Wrong" is the nearest pair
of different photos by that measure alone; an unattended copy must clear all bars at once.
"""

# --- what shows enough to be compared ---------------------------------------------------------------------------------

from __future__ import annotations

BAND_STD = 1.0
"""Grey levels of texture. Below it sky, fog and night agree with any other."""
LEAST_SIDE = 24
"""px. Icons and single-coloured tiles agree with any other."""

# --- copy: the pixels, at 400 px --------------------------------------------------------------------------------------

MEAN = 4.0
"""Grey levels, mean difference."""
WORST = 12.0
"""Grey levels, worst block. Copies: 95 % below 8, strong tone edits up to 15. Wrong: a subject of 2.5 % of the frame 12.6, a card's name 7.5."""
LOCAL = 0.72
"""Correlation of the worst block. Copies: geometry and recompression above 0.81. Wrong: a card's name 0.55, that small subject 0.32."""
LOCAL_FAINT = 0.6
"""Enough where the worst block stays below half its bar."""
BAND_NCC = 0.85
"""Correlation of the middle frequencies."""
FINE_NCC = 0.55
"""Of the fine ones. Copies above 0.78 (JPEG quality 25). Wrong, among photos of one scene: 0.56 once, else below 0.5."""
FEW_DETAILS = 0.95
"""Correlation of the middle frequencies that stands for features where a picture has few. Set by hand."""
INLIERS = 12
"""Features that agree on one geometry (RANSAC): below it the geometry may be chance."""
FLOW = 0.3
"""px, median that optical flow still moves after the alignment."""
TONE = 0.8
"""Share of brightness changed. A stop darker is 0.72; brackets of two stops begin at 0.74."""
OVERLAP, SMALLER_OVERLAP = 0.9, 0.3
"""Share of its picture that one of the two shows of the other, at least; and the other one."""
WRITTEN = 0.002
"""Share of a picture that stands on its plain margin, when something does: short captions 0.004 and more."""

# --- copy: the same of the pictures that are kept of photos that were read -------------------------------------------

KEPT_OVERLAP, KEPT_NCC, KEPT_MEAN, KEPT_WORST, KEPT_STROKES = 0.05, 0.05, 0.75, 0.7, 0.5
KEPT_BURST = 0.1
"""Overlap and correlation, where these are all that tells a burst."""
KEPT_BITS = 6
"""Bits of 64: so close by their hashes, of 470 pairs of photos that a person would be asked about kept pictures settled none."""
KEPT_FAINT = 6
"""Features that hint at an alignment, too few for one: of the files there may be enough."""
KEPT_BAND_STD, KEPT_ALIKE = 4.0, 0.9
"""Grey levels of texture below which compression is most of what differs in detail; there the whole counts, its correlation."""
KEPT_EXTRA = {
    "fine_ncc": 0.1, "local": 0.15, "around": 0.1, "through": 0.1, "sign": 0.05, "y0": 0.02, "y1": -0.02, "flow50": -0.1,
    "tone": -0.1,
}  # fmt: skip
KEPT_SHARES = {"margin_a": 0.5, "margin_b": 0.5, "thick": 0.5, "unlike": 0.7, "ink": 0.5, "ground": 1.5}
"""How much better the files themselves may measure, added or as shares: at least twice of what 95 of 100 pairs differed by."""

# --- copy: a closer look, at 1200 px ----------------------------------------------------------------------------------

FINE_WORST = 16.0
"""Copies: 97 % below, 99 % without what was laid over them. Wrong: a line of a receipt on a table 21; one in the dark, hardly legible, 9.5."""
FINE_WORST_TEXT = 4.0
"""Copies: 97 % of pages and screens below 2.6. Wrong: two digits of a total, seven pixels high, 5.1."""
SAME_STROKES = 0.5
"""Correlation of the two where strokes differ. Copies, sharpened or coded otherwise: 0.76 and more. Wrong: another number
on a plate or a scoreboard, ten pixels high, below 0.25 where `fine_worst` is hardly above that of copies."""

# --- copy: what was laid over one of the two (a stamp, a signature, a watermark) ----------------------------------------

STROKE_SIDE = 2.5
"""Ratio of strokes from which one side is the written one."""
STROKE_ONE_WAY, SIGN_ONE_WAY = 8.0, 0.95
"""Ratio of strokes, or share of changed pixels that changed to one side: from either on, nothing was taken away."""
STAMP_MEAN, STAMP_THICK, STAMP_AROUND = 2.0, 0.02, 0.85
"""Outside a stamp nothing differs: mean in grey levels, at most; share of its changed pixels that are
no thin strokes, at most; local correlation around them, at least."""
STAMP_EDGE, STAMP_HEIGHT, STAMP_SHAPE, STAMP_SHARE = 0.2, 0.1, 2.0, 0.03
"""A date or a name: within a fifth of the height from top or bottom, a tenth of it high, twice as wide, 3 % of the picture."""
WATERMARK_THROUGH, WATERMARK_SHARE = 0.7, 0.06
"""A watermark: the picture shows through (correlation), and it covers 6 % at most."""
UNEVEN = 1.05
NOT_PAPER = 0.5
"""Grey levels per pixel. Under stamps on photos 1.1 and more, on a smooth sky 0.55. Under a signature or a note on
photographed paper, boards, cards and forms below 0.55, on paper that is rough to see up to 1.0."""
ALONE = 0.004
"""A stamp on a sky has nothing near it, six of eight times. A line on rough paper stands beside others: 0.008 and more."""

# --- copy or two shots ------------------------------------------------------------------------------------------------

SAME_INSTANT = 1.0
"""Seconds: copies lose their SubSec digits, so two stamps of one exposure can differ by nearly this much."""
BRACKET_TONE = 0.2
"""Share of brightness changed between two shots of one camera that may be a bracket."""
SAME_STOP = 0.2
"""Stops. Copies keep their EXIF or lose it; brackets go in thirds of a stop or more."""
TWIN_QUALITY = 1.5
"""Steps of JPEG quality: one pipeline writes one quality."""
TWIN_REST = 0.6
"""Grey levels, root mean square at the fine side. Saved again the same way: below 0.45. Wrong: two frames of a fixed
camera that saw no change, 0.77 even when a weak sensor and strong compression left little grain."""
TWIN_WORST = 2.5
"""The same of the worst block: 1.8, and 3.4 at full resolution for those frames."""
TWIN_BITS = 6
"""Bits of 64. One picture saved twice by one pipeline, turned or mirrored too: at most 2 in 480 pairs below `TWIN_REST`."""

# --- asked about: may be a copy ---------------------------------------------------------------------------------------

ASK_OVERLAP, ASK_SMALLER_OVERLAP = 0.8, 0.2
ASK_BAND_NCC, ASK_FINE_NCC = 0.75, 0.45
"""Looser than what moves: worth a question. Set by hand."""
OTHER_TEXT_FINE_WORST = 25.0
"""Grey levels at 1200 px: up to here a page may still be the same page. Set by hand, above `FINE_WORST`."""
OTHER_TEXT_SIGN, OTHER_TEXT_SHARE = 0.9, 0.02
"""Strokes gone here and come there, or 2 % of the picture changed: other things are written in the same place."""

# --- burst ------------------------------------------------------------------------------------------------------------

BURST_SECONDS = 2.0
ONE_MOMENT_SECONDS = 45.0
"""Photos whose clocks are further apart are no burst and, across months, nothing to each other."""
BURST_OVERLAP, BURST_NCC = 0.6, 0.7
"""One scene with little moved: asked about as a burst. Set by hand."""
FRAMED_OVERLAP, FRAMED_NCC, FRAMED_MEAN, FRAMED_BAD = 0.8, 0.87, 10.5, 0.4
"""One framing: moves as a burst. Overlap, correlation, mean difference in grey levels, share of blocks that differ."""
LATE_SECONDS, LATE_COSINE = 3.0, 0.85
"""Later than this two shots are only asked about when they look alike as a whole."""
ONE_SUBJECT_SECONDS, ONE_SUBJECT = 3.0, 0.75
"""Cosine: what one camera saw this soon after is asked about, also when a hand moved so far that nothing can be laid over it."""
MORE_LIKELY_THAN_NOT = 0.5
"""A burst that clears every bar by a little and is doubted by all of it together: 1 of 33, others 0.77 and more."""
WRITING = 0.47
"""Share of the strokes that differ on even ground. Bursts: at most 0.43. Wrong: another page in the same place, 0.5."""
ISLAND = 0.095
"""How little an island is found again near its place. Labelled bursts: at most 0.09 (39 pairs; of 95 more, cut from films of
fixed cameras, 7 above: a car, a fingertip, a glint). 82 pairs by hand in which nothing changed, with noise up to 8 grey
levels: one above. Wrong: of 126 pairs that moved with another digit, line, piece or hand of a clock, 8 to 60 px high in
photos of 2 to 12 megapixels, 83 above; most of the rest are letters of at most 12 px, and pairs in which the change touches
somebody who moves."""
FIXED_CAMERA_SECONDS = 1.0
FIXED_FLOW, FIXED_FLOW_SHARE = 0.15, 0.6
"""px, and share of the picture where it was measured: frames of a fixed camera lie over each other this well."""
BRACKET_MEAN, BRACKET_LOCAL = 2.5, 0.3
"""Frames of a fixed camera that differ everywhere and yet show the same: exposed otherwise."""
EDIT_SECONDS = 0.01
"""Same stamp to the hundredth: one shot, edited."""

# --- similar ----------------------------------------------------------------------------------------------------------

ALIKE_BITS, ALIKE_NCC, ALIKE_BAND_NCC = 4, 0.85, 0.5
"""Without an embedder: bits of 64 that differ at most, or the correlations of what lies over each other."""
STOOD_STILL, SAME_VIEW = 0.98, 0.9
"""Pages, receipts, chats of one layout fill one frame, to 1 % of it. By hand, frames of one burst are 2 to 20 % apart."""

# --- what a file holds: area, marks -----------------------------------------------------------------------------------

BEYOND = 0.03
"""Share of a picture that the other may lack: rounding of the fit, the letters of a caption bar."""
ANOTHER_MOMENT_OVERLAP = 0.8
"""Share of a burst's frame that its keeper shows, at least."""
ON_A_SCREEN = 0.95
"""Share of what plain margins surround that the other shows too: then the margins are a screen or a frame."""
FRAMED = 0.01
"""Share of a picture that is a frame."""

# --- what a file holds: true resolution -------------------------------------------------------------------------------

LARGER = 1.1
"""Ratio of pixels a length from which one is larger."""
ENLARGED_FROM = 1.29
"""The same: below it enlarging and a camera's own soft focus look alike. There only what the files say of themselves tells
them apart; where they say nothing, the larger one shows all that the smaller one does, however it was made."""
MUCH_LARGER = 1.5
"""From here a lossy picture shows all that a smaller lossless or finer coded one does."""
MADE_UP, PERHAPS = 0.9, 0.6
"""Probability that a picture is an enlargement: above, it holds nothing more; between, nobody knows."""

# --- what a file holds: colour, tones, depth --------------------------------------------------------------------------

COLOURFUL = 4.0
"""Own chroma of a picture with colours, grey units. Grey and sepia prints: below 1.5."""
FEWER_COLOURS = 0.35
"""Own chroma beside the other's: below it, the colours are gone."""
SATURATION = 2.0
"""Ratio of own chromas that an edit may make: saturation by 30 %, and what contrast adds."""
SAME_HUES = 0.85
TINTED, TINTED_RATIO = 6.0, 3.0
COLOUR_ALONE = 24.0
"""Of 240 labelled copies (saved again, smaller, cropped, turned) at most 4.1, of 34 light edits at most 16.8
(of 20 painted ones in vivid colours 20.5). The most colourful 2, 5 or 13 % of 60 photos made grey: 95 % above 24."""
COLOUR_SPOT = 28.0
"""The same in a place of a few pixels at 1200 px, where neither is black or white. Of copies of 30 photos (saved again, lighter, sharper,
more colourful: ten kinds) at most 25; of a painted meadow at a third of its size 22, at quality 50 33. So are 5 of 17 with mended red eyes of 10 px, 7 of 14 of
16 px, and 13 of 23 with another colour of the same brightness in 16 px."""
BEYOND_SRGB = 0.005
"""Share of a picture in colours of a wide profile that its sRGB copy cannot have: a flower, a jersey, a neon sign."""
TONES_ALONE = 1.0
"""187 labelled copies (saved again, smaller, cropped, turned): at most 0.17 either way; curves, saturation and contrast that
clip nothing, sharpening: 0.8. 3 bits a channel: all above 2; 4 bits 1.5, five of ten; contrast by a half 3.5."""
SHADOWS, HIGHLIGHTS = 64, 192
"""Grey levels: how the sentence names where the tones are."""

# --- what a file holds: loss, film ------------------------------------------------------------------------------------

FINE_QUALITY, COARSE_QUALITY = 70.0, 45.0
"""JPEG quality from which no eye sees the loss at full size; and below which everybody does."""
STARVING_QUALITY, FEWEST_BITS = 60.0, 0.15
"""A WebP, HEIC or AVIF at like quality takes a half to a quarter of a JPEG's bits; with this share of them it is starved."""
SAME_PIXELS = 0.5
"""Root mean square difference, grey levels: saved anew without loss to speak of."""
PHOTOGRAPHIC_PALETTE = 32
"""Colours from which a palette is that of a photograph."""
CLIP_SECONDS = 0.2
"""Films whose lengths differ by less are equally long."""

# --- groups and series ------------------------------------------------------------------------------------------------

SIMILAR_LIMIT = 12
"""Members of one group that are merely similar: look-alikes of one family are reviewed in small groups."""
BURST_FRAMES = 90
"""Frames that a camera can take within the two seconds of a burst that moves: thirty a second, and some to spare."""
SERIES_SHOTS = 24
"""Shots up to which a series is compared in all its pairs."""
SERIES_PAUSE_SECONDS = 120.0
"""A longer pause ends a series."""
SERIES_NEIGHBOURS = 12
"""Neighbours on either side that a shot is compared with, at least, where the shots are evenly spaced: as many as one
group of look-alikes shows."""
MOMENT_SECONDS = 2.0
"""Shots that lie no further apart are always compared: they may be a burst that moves."""
ZONE_SECONDS, ZONES_SECONDS = 900.0, 26 * 3600.0
"""Time zones lie quarters of an hour apart (Nepal 5:45), and up to 26 hours (UTC-12 to UTC+14)."""

# --- lessons: how far a verdict reaches -------------------------------------------------------------------------------

FAMILY = 0.3
"""Estimated cosine from which two pairs may be of one family. Pairs of one family: median 0.7; of two: 0.45."""
EVIDENCE_WIDTH = 1.5
"""Standard deviation of the kernel over FEATURES. Look-alikes of one family lie 0.3-1.9 apart, copies 2.7 from them."""
LEAST_LIKENESS = 0.15
"""Likeness below which a verdict says nothing of a pair: many such verdicts together would be about something else."""
PRIOR_VERDICTS = 1.0
"""Verdicts that the shipped calibration counts for. Small, so that the second veto of one kind already counts."""
WORTH_ASKING = 0.24
"""Probability below which a pair that waits for a person is not worth asking about any more."""
PROPOSED_AT_LEAST = 0.4
"""Probability that is assumed, at least, for a pair that waits for a person: it was proposed because it may well be one.
At 0.5 ten vetoes of a family with many faces left more than a fifth of it in 6-23 % of 200 simulated runs, at 0.4 in
1-3 %, with the same copies lost (0.8 points at most)."""
SURE_DESPITE_LESSONS = 0.6
"""Probability below which a pair that lessons speak against no longer moves unattended: one veto keeps its twins back,
a few keep their kind back."""
PROMISED_RATE = 0.01
"""Share of bursts moved unattended that may be wrong..."""
PROMISE_RISK = 0.05
"""...except with this probability."""
