"""What is new in a month is compared: candidate pairs are searched for, and each is measured once.

Must never group or move anything. What was measured of a pair stays in the ledger, so that grouping again (other
thresholds, another verdict) decodes nothing.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedupd.core.photo import Candidate, FileState, Measures, Traits
from dedupd.core.records import FileRow, MonthRow, PairRow
from dedupd.core.relations import MEASURES, prospect, relatable, similar_at_best
from dedupd.core.series import Series, Shot
from dedupd.pipeline import logs_behind
from dedupd.pipeline.families import chosen
from dedupd.pipeline.ingest import BATCH, ingest_files
from dedupd.pipeline.make_lessons import typed
from dedupd.pipeline.measure_thresholds import bars_in_force, own_thresholds
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Progress, Proof, ProofRequest, Proposal, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

PROOFS = (8, 256)
"""Pairs handed to the worker at a time, fewest and most."""
AT_HAND = 128
"""Pairs from which on they are measured; until then those of the next month join them. One pair keeps one core busy."""
FRESH = 8192
"""Contents searched for at a time. Not sized by time: a look at the whole index costs much the same for one content as
for so many, and what comes back fits into memory whatever they are."""
AT_ONCE = 512
"""Photos of small months that are searched at once: a search takes as long for one as for so many. Fewer than a search keeps
pairs of each photo."""
ASKED = 4 * FRESH
"""The same of the whole library. Not all are answered for at a time, but the nearest of look-alikes are chosen for all at once."""
UNMEASURED = 1000
"""Pairs that could not be measured of which is told, at most."""
SET_ASIDE_SECONDS = 6 * 3600.0
"""What could not be read in an idle hour is tried again after so long."""
TOGETHER, TOGETHER_PAIRS = 128, 4_000_000
"""Photos that are compared with all of their family at a time, at most, and their pairs with it: one alone costs
many times as much. Of those that were begun when the process ends all is searched for again, sixteen parts of some seconds."""


Keep = Callable[[Sequence[PairRow]], None]
"""Write down what was measured of these pairs."""
Opens = Callable[[FileRow, str], bool]
"""Whether this file below this root may be opened."""


def _any_file(file: FileRow, root: str) -> bool:
    return True


class Comparison:
    """Brings the measured pairs of months up to date. Remembers that the index was whole when it was first asked."""

    def __init__(
        self, ledger: Ledger, vision: Vision, clock: Clock, threshold: float | None = None, *, shadow: bool = False
    ) -> None:  # fmt: skip
        """`shadow`: another model than the one in force; the ledger's photos are not looked at through it."""
        self._ledger, self.vision, self._clock = ledger, vision, clock
        self.threshold, self._shadow = threshold, shadow
        self._model = ""
        self._near: float | None = None
        self._far: float | None = None
        """The model's own candidate bars, within a month and across the library."""
        self._index_checked = False
        self._roots = {r.id: r for r in ledger.roots.all()}
        self._opens: Opens = _any_file
        self._set_aside: dict[tuple[str, str], float] = {}
        """(Content, place) of what is left to compare and could not be read -> when it is tried again."""
        self._unmeasured: dict[tuple[str, str], str] = {}
        """Pairs that could not be measured the last time -> which files they are, and why."""
        self._family: _Family | None = None
        """Whose comparison with all of its family was begun."""

    @contextmanager
    def opening_only(self, opens: Opens) -> Generator[None]:
        """Meanwhile no other file is opened: what would be compared with one is compared when it may be."""
        self._opens = opens
        try:
            yield
        finally:
            self._opens = _any_file

    def months(
        self,
        months: Sequence[MonthRow],
        on_progress: Progress = lambda phase, done, total: None,
        stop: Stop = never,
    ) -> Iterator[tuple[MonthRow, int]]:
        """Compare what is new in these months with its month, and what is new at all with the whole library.

        Each month that was compared to its end, with its changes as they were counted before. Ends early when it was
        stopped; of what it has searched for by then it measures some, and keeps it.
        """
        progress = _ContentsDone(on_progress)
        parts = self._found(_at_once(self._searches(months, on_progress, stop)), progress, stop)
        for some in _at_hand(parts):
            if not self._measure(some, progress, stop):
                return
            yield from (part.month for part in some if part.month)

    def _searches(self, months: Sequence[MonthRow], on_progress: Progress, stop: Stop) -> Iterator[_Search]:
        """Each as things are when it is asked for. Ends early when it was stopped."""
        for place, row in enumerate(months):
            if stop():
                return
            on_progress("compare", place, len(months))
            # Read before: what changes from here on may not be compared, and keeps the month waiting.
            changes = self._ledger.months.changes(row.root, row.month)
            anywhere = self._anywhere(months[place:])
            if anywhere.fresh:
                yield anywhere
            yield self._in_month(row, changes)

    def _anywhere(self, months: Sequence[MonthRow]) -> _Search:
        """What is new in the first of these months, and in as many after it as one search serves, with the whole library."""
        rules, new, shots = self._rules(), set[str](), list[Shot]()
        for row in months:
            contents = self._indexed(row.root, row.month)
            found = self._ledger.pairs.not_compared(contents, "", self._model, rules)
            if not found and not new:
                break
            new.update(found)
            shots += self._ledger.contents.shots(row.root, row.month) if found else ()
            if len(new) >= ASKED:
                break
        fresh = sorted(new)
        searched = self._ledger.pairs.searched(fresh)
        return _Search(
            fresh=fresh, among=None, place="", rules={rules: fresh}, series=Series(shots), searched=searched
        )

    def _in_month(self, row: MonthRow, changes: int) -> _Search:
        """What is new in this month with the month."""
        rules, place = self._rules(), f"{row.root}:{row.month}"
        contents = self._indexed(row.root, row.month)
        series = Series(self._ledger.contents.shots(row.root, row.month))
        within = _within(series, contents, f"{rules}|{self.threshold}")
        fresh = sorted(
            c
            for under, some in within.items()
            for c in self._ledger.pairs.not_compared(some, place, self._model, under)
        )
        searched = self._ledger.pairs.searched(fresh)
        return _Search(
            fresh=fresh, among=contents, place=place, rules=within, series=series, searched=searched,
            month=(row, changes),
        )  # fmt: skip

    def _indexed(self, root: int, month: str) -> list[str]:
        """The contents of the month that eyes have seen, in order."""
        files = self._ledger.files.live_in_month(root, month)
        return sorted({f.content for f in files if f.content and f.state == FileState.INDEXED})

    def _found(
        self, searches: Iterable[Sequence[_Search]], progress: _ContentsDone, stop: Stop
    ) -> Iterator[_Part]:
        """What they find, block by block; of small months at once. Ends early when it was stopped."""
        for some in searches:
            fresh = [content for search in some for content in search.fresh]
            lacking = self._restore_index(fresh, stop) if fresh else set[str]()
            if lacking is None:
                return
            progress.begin(len(fresh) - len(lacking))
            asked = [search for search in some if search.fresh]
            for number, part in enumerate(self._proposals(asked)):
                if number and stop():
                    return
                with self._ledger.transaction():  # one for all of them: each waits for the disk
                    parts = [
                        self._part(search, mine, lacking)
                        for search in asked
                        if (mine := part if len(asked) == 1 else search.of(part)).fresh
                    ]
                yield from parts
            yield from (_Part(place=search.place, last=True, month=search.month) for search in some)

    def _part(self, search: _Search, part: Proposal, lacking: set[str]) -> _Part:
        pairs, more = self._chosen(part, search)
        fresh = set(part.fresh) - lacking
        rules = {under: [c for c in contents if c in fresh] for under, contents in search.rules.items()}
        pairs = self._worth_aligning(pairs)
        return _Part(place=search.place, rules=rules, pairs=pairs, more=more, searched=search.searched)

    def _measure(self, parts: Sequence[_Part], progress: _ContentsDone, stop: Stop) -> bool:
        """Measure all their pairs, and note what was compared. False when it was stopped before that."""
        pairs = {(p.a, p.b): p for part in parts for p in part.pairs}  # two photos may lie in two months
        contents = sum(part.contents for part in parts)
        unproven = self._prove(list(pairs.values()), stop, lambda share: progress.within(contents * share))
        if unproven is None:
            return False
        with self._ledger.transaction():
            for part in parts:
                self._note_compared(part, unproven)
        progress.done(contents)
        return True

    def _note_compared(self, part: _Part, unproven: set[str]) -> None:
        """A content whose pairs are all measured is searched for no more."""
        for rules, contents in part.rules.items():
            done = [c for c in contents if c not in unproven and c in part.searched]
            self._ledger.pairs.compared(done, part.place, self._model, rules)
            # Also of a photo that could not be read: with which others it was not compared nothing else tells.
            later = [c for c in contents if c in unproven or c in part.more]
            self._ledger.deferred.add(later, part.place, self._model, rules)
            if self._family and self._family.is_of(part.place, [c for c in contents if c in part.more]):
                self._family = None  # it was away, and the search has passed by what came meanwhile

    def give_up_family(self) -> None:
        """Nothing is left to compare: what was begun is of photos that are gone."""
        self._family = None

    def compare_deferred(self, stop: Stop = never, seconds: float = float("inf")) -> bool:
        """Compare photos of large families with all of their family, for about so long or until there is none left.

        Months of which the groups may change then wait to be grouped again. Whether any photo was compared to its end.
        """
        rules, until = self._rules(), self._clock.monotonic() + seconds
        done, now = False, self._clock.monotonic()
        self._set_aside = {row: at for row, at in self._set_aside.items() if at > now}
        if self._family and self.vision.missing(self._family.search.fresh):
            self._family = None  # a search for what the index lost meanwhile would find nothing
        while (ended := self._compare_deferred_some(rules, stop)) is not None:
            done = done or ended
            if stop() or (done and self._clock.monotonic() >= until):
                break
        return done

    def _compare_deferred_some(self, rules: str, stop: Stop) -> bool | None:
        """Those that were begun, or the next with one place and one set of rules. Whether any came to its end; None when
        it was stopped, or none is left.
        """
        if self._family:
            return self._go_on(self._family, stop)
        rows = self._ledger.deferred.next(self._model, TOGETHER, self._set_aside)
        if not rows:
            return None
        place, by = rows[0].place, rows[0].rules
        among = self._indexed(*_root_and_month(place)) if place else None
        count = self._ledger.contents.count() if among is None else len(among)
        contents = [row.content for row in rows[: max(1, TOGETHER_PAIRS // max(1, count))]]
        if not by.startswith(rules):  # they are compared anew by the rules of today
            return self._worked_off(contents, place, anew=True)
        lacking = self._restore_index(contents, stop)
        if lacking is None:
            return None
        if lacking:  # nothing is near what the index does not hold: that says nothing of the photo
            self._not_met(sorted(lacking))
            return True
        series = Series(self._ledger.contents.shots(*_root_and_month(place)) if place else ())
        search = _Search(fresh=contents, among=among, place=place, rules={}, series=series)
        parts = self.vision.candidates(contents, among, *self._bars(search))
        self._family = _Family(search=search, parts=parts)
        return self._go_on(self._family, stop)

    def _go_on(self, family: _Family, stop: Stop) -> bool | None:
        """Part by part, and when it was stopped, from there on the next time. Answers as `_compare_deferred_some` does."""
        try:
            while (part := family.part or next(family.parts, None)) is not None:
                family.part = part
                found: dict[tuple[str, str], Candidate] = {}
                self._gather(found, part, family.search)
                pairs = self._worth_aligning(list(found.values()), self._keep_in_idle_hours)
                failed = self._prove(pairs, stop, keep=self._keep_in_idle_hours)
                if failed is None:
                    return None
                family.unproven |= failed
                if family.part is part:  # what came in between may have gone on with it
                    family.part = None
                if stop():
                    return None
                if self._family is not family:
                    return False
        except BaseException:  # such an iterator would seem to have come to its end
            self._family = None
            raise
        self._family = None
        return self._worked_off(family.search.fresh, family.search.place, again=family.unproven)

    def _worked_off(
        self, contents: Sequence[str], place: str, again: Container[str] = (), *, anew: bool = False
    ) -> bool:
        """Nothing is left of these. Whether any came to its end.

        `again`: a file was not readable. Something is left to compare of these photos, which is told until it is done; it is
        tried again after some hours, not at once for ever. `anew`: their months wait, to compare them by other rules.
        """
        ended = [content for content in contents if content not in again]
        with self._ledger.transaction():
            self._ledger.deferred.remove(ended, place, self._model)
            logs_behind.note(self._ledger, self._months_of(ended))
            if anew:
                self._mark_changed(ended)
        until = self._clock.monotonic() + SET_ASIDE_SECONDS
        self._set_aside |= {(content, place): until for content in contents if content in again}
        return bool(ended)

    def _keep_in_idle_hours(self, pairs: Sequence[PairRow]) -> None:
        """At once with the months whose groups they may change, so that no kill leaves these as they were grouped without
        them. Most look-alikes are nothing to each other, and change none."""
        bars = bars_in_force(self._ledger, self._model, self.threshold)
        contents = {c for p in pairs for c in (p.a, p.b)}
        traits = self._ledger.contents.traits(contents)
        months = [self._ledger.files.months_of_contents(root, contents) for root in self._roots]

        def related(pair: PairRow) -> bool:
            if pair.a not in traits or pair.b not in traits:
                return False
            # A photo that comes to lie in the same month later changes that month.
            shared = any(not some.get(pair.a, set()).isdisjoint(some.get(pair.b, ())) for some in months)
            return typed(pair, traits[pair.a], traits[pair.b], bars, same_month=shared) is not None

        changing = {content for pair in pairs if related(pair) for content in (pair.a, pair.b)}
        with self._ledger.transaction():
            self._ledger.pairs.put(pairs)
            self._mark_changed(changing)

    def _keep(self, pairs: Sequence[PairRow]) -> None:
        with self._ledger.transaction():
            self._ledger.pairs.put(pairs)

    def _mark_changed(self, contents: Iterable[str]) -> None:
        for root, month in self._months_of(contents):
            self._ledger.months.mark_changed(root, month, self._clock.now())

    def _months_of(self, contents: Iterable[str]) -> list[tuple[int, str]]:
        files = self._ledger.files.decoded_with_contents(contents)
        return sorted({(file.root, file.month) for some in files.values() for file in some})

    def _rules(self) -> str:
        """What a comparison depends on today. With another one than the ledger's, what was measured is forgotten."""
        self._roots = {r.id: r for r in self._ledger.roots.all()}
        seeing = self.vision.status()
        self._model = seeing.model
        recipe = f"{seeing.recipe}.{MEASURES}"
        if self._ledger.get("rules") != recipe:
            _forget_pairs(self._ledger, self._clock, recipe)
        own = own_thresholds(self._ledger, seeing.model)
        self._near, self._far = (own.candidate, own.across) if own else (None, None)
        return f"{recipe}|{seeing.model}" + (f"|{self._near}|{self._far}" if own else "")

    def ensure_complete(self, stop: Stop = never) -> bool:
        """Nothing moves beside an index that was lost: look once whether it is whole, and restore what it lacks.

        False when it was stopped before that.
        """
        if self._index_checked:
            return True
        self._roots = {r.id: r for r in self._ledger.roots.all()}
        return self._restore_index((), stop) is not None

    def doubt_index(self) -> None:
        """The worker failed, perhaps because the index was damaged: whether it is whole is asked again."""
        self._index_checked = False

    def _restore_index(self, fresh: Iterable[str], stop: Stop) -> set[str] | None:
        """A lost or older index costs time only: look again at what it does not hold.

        All is asked about once; later only what is to be compared: a copy that came back, a disk that was away.
        Returns what of `fresh` it lacks even so; None when it was stopped.
        """
        fresh = set(fresh)
        few = sorted(fresh)
        pages = (few[at : at + 4096] for at in range(0, len(few), 4096))
        lacking: set[str] = set()
        for page in pages if self._index_checked else self._ledger.contents.live_pages():
            lost = self.vision.missing(page)
            if lost and not self._shadow:
                if not self._ingest_lost(lost, stop):
                    return None
                lost = self.vision.missing(lost)
                if self._opens is not _any_file:
                    self._not_met(lost)
                elif not self._index_checked:
                    self._not_met([c for c in lost if c not in fresh])
            lacking.update(c for c in lost if c in fresh)
        self._index_checked = True
        return lacking

    def _ingest_lost(self, lost: Sequence[str], stop: Stop) -> bool:
        """At what the index does not hold, where it lies on a disk that is here. False when it was stopped."""
        seen = self._ledger.files.decoded_with_contents(lost)
        files = [file for at in seen.values() if (file := self._here(at)) is not None]
        for part in slices(files, self._clock, *BATCH):
            if stop():
                return False
            ingest_files(self._ledger, self.vision, self._clock, part)
        return True

    def _not_met(self, lost: Sequence[str]) -> None:
        """What the index lacks even so meets nothing that is new: it is compared once it can be read again."""
        if not lost:
            return
        with self._ledger.transaction():
            self._ledger.pairs.forget_compared(lost)
            self._mark_changed(lost)

    def _proposals(self, searches: Sequence[_Search]) -> Iterator[Proposal]:
        """Block by block, and each in parts that fit into memory."""
        if not searches:
            return
        among, sizes = searches[0].among, list[int]()
        if len(searches) > 1:
            months = [search.among or () for search in searches]
            among, sizes = [content for month in months for content in month], list(map(len, months))
        fresh = [content for search in searches for content in search.fresh]
        most = ASKED if among is None else FRESH
        for start in range(0, len(fresh), most):
            block = fresh[start : start + most]
            yield from self.vision.propose(block, among, *self._bars(searches[0]), sizes)

    def _bars(self, search: _Search) -> tuple[float | None, float | None, float | None]:
        """The person's cosine, the model's own, and the one from which look-alikes of a month are shown as such."""
        if search.among is None:
            return None, self._far, None
        return self.threshold, self._near, bars_in_force(self._ledger, self._model, self.threshold).similar

    def _chosen(self, part: Proposal, search: _Search) -> tuple[list[Candidate], set[str]]:
        """The pairs of this part to be measured now, and the contents of which more are left for later."""
        found: dict[tuple[str, str], Candidate] = {}
        self._gather(found, part.pairs, search)
        traits = self._ledger.contents.traits({c for pair in found for c in pair})
        pairs, more = chosen(found.values(), part.fresh, traits)
        return pairs, more | set(part.cut)

    def _gather(
        self, found: dict[tuple[str, str], Candidate], pairs: Iterable[Candidate], search: _Search
    ) -> None:
        """Add the pairs that were not measured yet and that measuring could relate."""
        fresh = {
            (p.a, p.b): p
            for p in pairs
            if p.a != p.b and (p.a, p.b) not in found and not search.series.too_far(p.a, p.b)
        }
        known = self._ledger.pairs.known(fresh, self._model)
        unmeasured = [pair for ends, pair in fresh.items() if ends not in known]
        traits = self._ledger.contents.traits({c for p in unmeasured for c in (p.a, p.b)})
        for pair in unmeasured:
            a, b = traits.get(pair.a), traits.get(pair.b)
            # Without traits the pair is proven later, when its file is there: `_not_now` takes note of it.
            if (
                a is None
                or b is None
                or relatable(a, b, pair.hash_distance, same_month=search.among is not None)
            ):
                found[pair.a, pair.b] = pair

    def _worth_aligning(self, pairs: Sequence[Candidate], keep: Keep | None = None) -> list[Candidate]:
        """Keep look-alikes of which small pictures or clocks said all: they may be shown as such. Returns the others."""
        traits = self._ledger.contents.traits({c for p in pairs for c in (p.a, p.b)})

        def said(pair: Candidate) -> bool:
            a, b = traits.get(pair.a), traits.get(pair.b)
            return pair.unlike or (a is not None and b is not None and similar_at_best(a, b, pair))

        keep = keep or self._keep
        some = self._measured_before([p for p in pairs if said(p)], keep)
        keep([_measured(p, None, self._model) for p in some])
        return [p for p in pairs if not said(p)]

    def _measured_before(self, pairs: Sequence[Candidate], keep: Keep) -> list[Candidate]:
        """Take over what was measured when another model proposed the same pair. Returns the others."""
        known = self._ledger.pairs.measures_of((p.a, p.b) for p in pairs)
        taken = [_measured(p, known[p.a, p.b], self._model) for p in pairs if (p.a, p.b) in known]
        if taken:
            keep(taken)
        return [p for p in pairs if (p.a, p.b) not in known]

    def _prove(
        self, pairs: Sequence[Candidate], stop: Stop, told: Callable[[float], None] = lambda share: None,
        keep: Keep | None = None,
    ) -> set[str] | None:  # fmt: skip
        """Measure the pairs and keep what was measured. Returns contents to be compared again: a file was not readable.

        None when it was stopped. `told`: which share of them is measured.
        """
        unproven: set[str] = set()
        keep = keep or self._keep
        pairs = _met_together(self._measured_before(pairs, keep))
        done = 0
        for part in slices(pairs, self._clock, *PROOFS):
            if done and stop():
                return None
            chunk = {(p.a, p.b): p for p in part}
            traits = self._ledger.contents.traits(c for pair in chunk for c in pair)
            paths = self._paths(c for pair in chunk for c in pair)
            requests = [r for p in chunk.values() if (r := self._request(p, traits, paths)) is not None]
            unproven |= self._not_now(chunk, paths)
            measured: list[PairRow] = []
            for proof in self.vision.prove(requests):
                done += 1
                told(done / len(pairs))
                if proof.measures is None:
                    unproven |= {proof.a, proof.b}
                    self._note_unmeasured(proof, paths)
                else:
                    self._unmeasured.pop((proof.a, proof.b), None)
                    measured.append(_measured(chunk[proof.a, proof.b], proof.measures, self._model))
            keep(measured)
        return unproven

    def _note_unmeasured(self, proof: Proof, paths: Mapping[str, str]) -> None:
        if len(self._unmeasured) < UNMEASURED:
            # An error of OpenCV has several lines.
            why = " ".join(proof.error.split()) or "not told"
            named = f"{paths[proof.a]} and {paths[proof.b]} ({why})"
            self._unmeasured[proof.a, proof.b] = named

    def unmeasured(self) -> str:
        """One sentence on pairs that could not be measured and whose photos are still there; '' without any."""
        here = self._ledger.files.decoded_with_contents({c for pair in self._unmeasured for c in pair})
        self._unmeasured = {
            pair: named for pair, named in self._unmeasured.items() if all(here[c] for c in pair)
        }
        if not self._unmeasured:
            return ""
        first = next(iter(self._unmeasured.values()))
        count = len(self._unmeasured)
        more = "at least " if count >= UNMEASURED else ""
        return (
            f"{more}{count} pair(s) of photos could not be compared, first {first}: neither moves for the other, and "
            "it is tried again later"
        )

    def _not_now(self, pairs: Iterable[tuple[str, str]], paths: Mapping[str, str]) -> set[str]:
        """What is held or gone cannot be compared with what is new: it is compared when it comes back. Returns it."""
        away = {c for pair in pairs for c in pair if c not in paths}
        self._not_met(sorted(away))
        return away

    def _request(
        self, pair: Candidate, traits: Mapping[str, Traits], paths: Mapping[str, str]
    ) -> ProofRequest | None:
        if not {pair.a, pair.b} <= traits.keys() & paths.keys():
            return None
        a, b = traits[pair.a], traits[pair.b]
        return ProofRequest(
            a=pair.a, b=pair.b, path_a=paths[pair.a], path_b=paths[pair.b], may=prospect(a, b, pair)
        )

    def _paths(self, contents: Iterable[str]) -> dict[str, str]:
        """Where each of these contents can be read now; those that can be read nowhere are left out."""
        found: dict[str, str] = {}
        for content, files in self._ledger.files.decoded_with_contents(contents).items():
            at = self._here(files)
            if at is not None:
                found[content] = os.path.join(self._roots[at.root].path, at.path)
        return found

    def _here(self, files: Iterable[FileRow]) -> FileRow | None:
        """The first of these files of one content that can be read now."""
        roots = self._roots
        return next((f for f in files if roots[f.root].online and self._opens(f, roots[f.root].path)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Contents to be compared with all of a place."""

    fresh: Sequence[str]
    among: Sequence[str] | None
    """Contents of the month; None: of the whole library."""
    place: str
    """What the ledger calls that: `root:month`, or '' for the whole library."""
    rules: Mapping[str, Sequence[str]]
    """What the comparison depends on -> contents of which it is so."""
    series: Series
    """The long ones of the month."""
    searched: Container[str] = ()
    """Those of `fresh` that met all there is: none of them was forgotten since the search began."""
    month: tuple[MonthRow, int] | None = None
    """Which is then compared to its end, with its changes as they were counted before."""

    def of(self, found: Proposal) -> Proposal:
        """What of this was found for its month, when it was searched with others."""
        fresh, among = set(self.fresh), set(self.among or ())
        return Proposal(
            fresh=[content for content in found.fresh if content in fresh],
            pairs=[pair for pair in found.pairs if pair.a in among],
            cut=[content for content in found.cut if content in fresh],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a search found for some of its contents."""

    place: str
    rules: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """As those of the search, for these contents."""
    pairs: Sequence[Candidate] = ()
    """To be measured now."""
    more: Container[str] = ()
    """Contents of which more pairs are left for later."""
    searched: Container[str] = ()
    """As that of the search."""
    last: bool = False
    """All of the search was found; such a part holds nothing else."""
    month: tuple[MonthRow, int] | None = None

    @property
    def contents(self) -> int:
        return sum(map(len, self.rules.values()))


def _at_once(searches: Iterable[_Search]) -> Iterator[list[_Search]]:
    """Small months together that have no photo in common."""
    some, held = list[_Search](), set[str]()
    for search in searches:
        new = set(search.among or ()) if search.fresh else set[str]()
        if some and (search.among is None or len(held) + len(new) > AT_ONCE or not held.isdisjoint(new)):
            yield some
            some, held = [], set[str]()
        some.append(search)
        held |= new
        if search.among is None:
            yield some
            some = []
    if some:
        yield some


def _at_hand(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Those that are measured together: of several small months. What was searched for in the whole library is measured
    first, so that it is not searched for again with the next month.
    """
    some, pairs, contents = list[_Part](), 0, 0
    for part in parts:
        some.append(part)
        pairs, contents = pairs + len(part.pairs), contents + part.contents
        if pairs >= AT_HAND or contents >= FRESH or (part.last and not part.place):
            yield some
            some, pairs, contents = [], 0, 0
    if some:
        yield some


@dataclass(slots=True, kw_only=True)
class _Family:
    """Photos that are compared with all of their family, and what is left of that."""

    search: _Search
    parts: Iterator[list[Candidate]]
    """Those that are still to come."""
    part: list[Candidate] | None = None
    """One that is not measured to its end."""
    unproven: set[str] = field(default_factory=set[str])

    def is_of(self, place: str, contents: Iterable[str]) -> bool:
        return place == self.search.place and not set(self.search.fresh).isdisjoint(contents)


def _root_and_month(place: str) -> tuple[int, str]:
    root, _, month = place.partition(":")
    return int(root), month


def _met_together(pairs: Iterable[Candidate]) -> list[Candidate]:
    """Look-alikes of one scene one after another, so that each of their pictures is read once for all its pairs."""
    first: dict[str, str] = {}

    def scene(content: str) -> str:
        while (above := first.setdefault(content, content)) != content:
            first[content] = content = first[above]
        return content

    ordered = sorted(pairs, key=lambda p: (p.a, p.b))
    for pair in ordered:
        one, other = sorted((scene(pair.a), scene(pair.b)))
        first[other] = one
    return sorted(ordered, key=lambda p: scene(p.a))


def _within(series: Series, contents: Sequence[str], rules: str) -> dict[str, list[str]]:
    """What their comparison within the month depends on: in a long series also on how far each is compared."""
    found: dict[str, list[str]] = defaultdict(list)
    for content in contents:
        reach = series.reach(content)
        found[rules if reach is None else f"{rules}|{reach:g} s"].append(content)
    return found


class _ContentsDone:
    """How far the searches that were begun have come, in contents."""

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._done: int = 0
        self._total: int = 0

    def begin(self, contents: int) -> None:
        if self._done == self._total:
            self._done, self._total = 0, 0
        self._total += contents

    def within(self, contents: float) -> None:
        if self._total:
            self._on_progress("prove", self._done + int(contents), self._total)

    def done(self, contents: int) -> None:
        self._done += contents
        self.within(0)


def forget_older_measures(ledger: Ledger, clock: Clock) -> None:
    """Before anything may move: what an older dedupd measured is no proof for this one, not even until the next pass."""
    recipe, _, measures = ledger.get("rules").rpartition(".")
    if measures not in ("", MEASURES):
        _forget_pairs(ledger, clock, f"{recipe}.{MEASURES}")


def _forget_pairs(ledger: Ledger, clock: Clock, rules: str) -> None:
    with ledger.transaction():
        ledger.pairs.forget()
        first = not ledger.get("rules")  # nothing was measured yet, and no month is to wait for that
        ledger.put("rules", rules)
        for row in () if first else ledger.months.all():  # groups without their proof could never move
            ledger.months.mark_changed(row.root, row.month, clock.now())


def _measured(pair: Candidate, measures: Measures | None, model: str) -> PairRow:
    return PairRow(
        a=pair.a,
        b=pair.b,
        model=model,
        cosine=pair.cosine,
        hash_distance=pair.hash_distance,
        measures=measures,
    )
