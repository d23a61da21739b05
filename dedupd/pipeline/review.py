"""What a reviewer sees, and what a verdict changes. Builds the views of the protocol from the ledger.

Must never move a file itself and never show a number the ledger does not hold (P15).
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from dedupd.core.attention import capped, contradicted
from dedupd.core.dominance import badges
from dedupd.core.formats import why_undecoded
from dedupd.core.narrowing import Narrowing
from dedupd.core.photo import Evidence, FileState, Relation, Traits
from dedupd.core.records import FileRow, GroupRow, MemberRow, RootRow
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.core.summary import left_to_compare
from dedupd.errors import Refusal
from dedupd.pipeline.consent import cannot_move, waits
from dedupd.pipeline.foreign_folders import not_looked_at
from dedupd.pipeline.held_better import told, told_changed
from dedupd.pipeline.make_lessons import dismissed_by
from dedupd.pipeline.measure_thresholds import bars_in_force
from dedupd.pipeline.move_orders import Companions
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.pausing import pausing
from dedupd.ports import Disk
from dedupd.protocol.results import Resolved
from dedupd.protocol.views import (
    EvidenceView,
    GroupDetail,
    GroupView,
    LessonView,
    MonthView,
    MoveView,
    PhotoView,
    RootView,
    StatusView,
)
from dedupd.version import __version__

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_WEAKEST_FIRST = [Relation.SIMILAR, Relation.BURST, Relation.COPY, Relation.EXACT]


class Reviewer:
    """Views of one moment; reads the ledger, caches nothing across calls."""

    def __init__(self, ledger: Ledger, disk: Disk) -> None:
        self._ledger, self._disk = ledger, disk
        self._roots = {r.id: r for r in ledger.roots.all()}

    def groups(self, groups: Iterable[GroupRow]) -> list[GroupView]:
        """Groups that still have something beside their keeper, in the order given."""
        rows = [g for g in groups if any(m.role != "stays" for m in g.members)]
        files, captured = self._files(rows)
        changed = self._changed()
        views = (self._view(row, files, captured, changed) for row in rows)
        return [v for v in views if v is not None]

    def report(self, groups: Iterable[GroupRow]) -> list[GroupView]:
        """The same with every file that moves or moved: sidecars and paired files too."""
        views: list[GroupView] = []
        beside = {id: Companions(self._ledger, self._disk, root) for id, root in self._roots.items()}
        groups = list(groups)
        (files, seen), changed = self._files(groups), self._changed()
        for group in groups:
            view = self._view(group, files, seen, changed)
            if view is not None and (view.duplicates or view.review):
                views += [view, *self._companions(view, group, files, beside[group.root])]
        return views

    def group(self, group: GroupRow) -> GroupView | None:
        """None when its keeper is no longer known."""
        return self._view(group, *self._files([group]), self._changed())

    def _changed(self) -> dict[int, str]:
        """File id -> what was changed in it, of photos that an older dedupd moved all the same."""
        return {change.file: change.why for change in self._ledger.held_checks.changed()}

    def _files(self, groups: Sequence[GroupRow]) -> tuple[dict[int, FileRow], dict[str, Traits]]:
        """The files of these groups, and what was seen in their keepers, asked for at once."""
        files = self._ledger.files.by_ids(
            id for group in groups for id in (group.keeper, *(m.file for m in group.members))
        )
        keepers = (files[g.keeper].content for g in groups if g.keeper in files)
        return files, self._ledger.contents.traits(content for content in keepers if content)

    def _view(
        self, group: GroupRow, files: Mapping[int, FileRow], seen: Mapping[str, Traits], changed: Mapping[int, str]
    ) -> GroupView | None:  # fmt: skip
        keeper = files.get(group.keeper)
        if keeper is None or group.root not in self._roots:
            return None
        # Only what has moved is asked for: a question for each of thousands is most of the time a month takes.
        moves = self._held_moves(group) if any(m.role == "moved" for m in group.members) else {}
        view = GroupView(
            id=group.id, root=self._roots[group.root].path, month=group.month, relation=group_relation(group.members),
            state=group_state(group.members), keep=keeper.path, reasons=list(group.reasons), version=group.version,
            captured=_captured(keeper, seen), files={keeper.path: keeper.id},
        )  # fmt: skip
        for member in sorted(group.members, key=lambda m: (_WEAKEST_FIRST[::-1].index(m.relation), m.file)):
            if member.file in files:
                told = f"would stay today: {changed[member.file]}" if member.file in changed else member.why
                _add_member(view, member, told, files[member.file], moves.get(member.file), keeper)
        return view

    def _companions(
        self, view: GroupView, group: GroupRow, files: dict[int, FileRow], beside: Companions
    ) -> list[GroupView]:
        """Files that share their photo's fate: beside a twin of the keeper's in a group of their own, else with the photo."""
        keeper, here = files[group.keeper].path, {member.file for member in group.members}
        held = self._ledger.journal.moves(group=group.id, held=True)
        elsewhere = {(m.batch, m.unit) for m in held if m.primary and m.file not in here}
        moved = [m for m in held if not m.primary and (m.batch, m.unit) not in elsewhere]
        found = [(m.src, m.dst, m.content, m.size) for m in moved]
        for member in group.members:
            if member.role == "duplicate" and member.file in files:
                paths = beside.unit(files[member.file].path).companions
                rows = (self._ledger.files.at(group.root, path) for path in paths)
                found += [(row.path, "", row.content or "", row.stat.size) for row in rows if row is not None]
        twins: list[GroupView] = []
        for path, where, content, size in found:
            twin = beside.twin(keeper, content)
            home = view
            if twin:
                home = GroupView(
                    id=view.id,
                    root=view.root,
                    month=view.month,
                    relation=str(Relation.EXACT),
                    state=view.state,
                    keep=twin,
                )
                home.evidence[path] = EvidenceView(
                    relation=str(Relation.EXACT), overlap=1.0, residual=0.0, confidence=1.0
                )
                twins.append(home)
            home.duplicates.append(path)
            home.bytes += size
            home.sizes[path] = size
            if where:
                home.moved_to[path] = where
        return twins

    def _held_moves(self, group: GroupRow) -> dict[int, Move]:
        return {m.file: m for m in self._ledger.journal.moves(group=group.id, held=True)}

    def detail(self, group: GroupRow) -> GroupDetail | None:
        """The group with its pictures, keeper first."""
        view = self.group(group)
        if view is None:
            return None
        files = self._ledger.files.by_ids([group.keeper, *(m.file for m in group.members)])
        traits = self._ledger.contents.traits(f.content for f in files.values() if f.content)
        moves = self._held_moves(group)
        roles = {group.keeper: "keeper", **{m.file: m.role for m in group.members if m.role != "stays"}}
        shown = _badges(group, files)
        photos = [
            self._photo(
                files[id], role, traits.get(files[id].content or ""), moves.get(id), shown.get(id, ())
            )
            for id, role in roles.items()
            if id in files
        ]
        return GroupDetail(group=view, photos=photos)

    def _photo(
        self, file: FileRow, role: str, seen: Traits | None, move: Move | None, holds: Sequence[str]
    ) -> PhotoView:
        view = PhotoView(
            file=file.id, path=move.src if move else file.path, role=role, size=file.stat.size,
            where=os.path.join(self._roots[file.root].path, file.path), mtime=file.stat.mtime_ns / 1e9,
            move=move.id if move else None, holds=list(holds),
        )  # fmt: skip
        if seen is not None:
            view.width, view.height, view.format, view.captured = (
                seen.width,
                seen.height,
                seen.format,
                seen.captured,
            )
            view.camera, view.software, view.sharpness = seen.camera, seen.software, seen.sharpness
            view.jpeg_quality, view.metadata_fields, view.has_gps = (
                seen.jpeg_quality,
                seen.metadata_fields,
                seen.has_gps,
            )
        return view

    def months(self) -> list[MonthView]:
        """Every month that has photos or a history, newest first."""
        counts = self._ledger.months.counts()
        views = {
            (r, m): MonthView(root=self._roots[r].path, month=m, photos=photos, guessed=guessed)
            for (r, m), (photos, guessed) in counts.items()
            if r in self._roots
        }
        for (root, month), (groups, waiting) in self._ledger.groups.waiting_by_month().items():
            view = self._month(views, root, month)
            view.groups, view.waiting = groups, waiting
        for (root, month), (files, size) in self._ledger.files.held_by_month().items():
            view = self._month(views, root, month)
            view.moved, view.bytes_saved = files, size
        for row in self._ledger.months.all():
            if (row.root, row.month) in views:
                views[row.root, row.month].changed = row.waiting
        return [views[key] for key in sorted(views, key=lambda k: (k[1], k[0]), reverse=True)]

    def _month(self, views: dict[tuple[int, str], MonthView], root: int, month: str) -> MonthView:
        return views.setdefault((root, month), MonthView(root=self._roots[root].path, month=month))

    def moves(self, moves: Sequence[Move]) -> list[MoveView]:
        months = {f.id: f.month for f in self._ledger.files.by_ids(m.file for m in moves).values()}
        return [
            MoveView(
                id=m.id, batch=m.batch, group=m.group, root=m.root, src=m.src, dst=m.dst, relation=m.relation,
                size=m.size, state=_move_state(m), at=m.at, keeper=m.keeper, error=m.error, month=months.get(m.file, ""),
            )
            for m in moves
        ]  # fmt: skip

    def lessons(self, offset: int = 0, limit: int = -1) -> list[LessonView]:
        """What people said and what it changed, newest last; so many from `offset` on, or all."""
        helped = dismissed_by(self._ledger, bars_in_force(self._ledger, self._ledger.get("model")))
        return [
            LessonView(id=v.id, kind=v.kind, a=v.a, b=v.b, paths=list(v.paths), at=v.at, told=helped[v.id])
            for v in self._ledger.verdicts.page(offset, limit)
        ]


def _badges(group: GroupRow, files: Mapping[int, FileRow]) -> dict[int, tuple[str, ...]]:
    """File id -> what its picture holds, as far as pairs with the keeper were measured."""
    found: dict[int, tuple[str, ...]] = {}
    keeper = files.get(group.keeper)
    for member in group.members:
        m, file = member.evidence.measures, files.get(member.file)
        if m is None or m.holds_a is None or m.holds_b is None or keeper is None or file is None:
            continue
        member_is_a = (file.content or "") < (keeper.content or "")
        mine, its = (m.holds_a, m.holds_b) if member_is_a else (m.holds_b, m.holds_a)
        found[file.id] = badges(mine, its)
        found[keeper.id] = max(found.get(keeper.id, ()), badges(its, mine), key=len)
    return found


def _add_member(
    view: GroupView,
    member: MemberRow,
    why: str,
    file: FileRow,
    move: Move | None,
    keeper: FileRow,
) -> None:
    path = move.src if move is not None else file.path
    view.evidence[path] = _evidence(member, keeper, file)
    view.why[path] = why
    view.sizes[path], view.files[path] = file.stat.size, file.id
    if member.role == "review":
        view.review.append(path)
        view.review_bytes += file.stat.size
    elif member.role in {"duplicate", "moved"}:
        view.duplicates.append(path)
        view.bytes += file.stat.size
        if move is not None:
            view.moved_to[path] = file.path


def status_view(
    ledger: Ledger, roots: Sequence[RootRow], *, daemon: str, now: float, beside: Iterable[str] = ()
) -> StatusView:
    """What `dedupd status` says, from the ledger; `beside`: sentences that only the running daemon knows."""
    ids, photos = {r.id for r in roots}, {r.id: ledger.files.count(r.id) for r in roots}
    months = {r.id: sum(m.waiting for m in ledger.months.all(r.id)) for r in roots}
    held = [ledger.files.held_totals(r.id) for r in roots]
    proposed = {r.id: ledger.groups.proposed_totals(r.id) for r in roots}
    groups = {k: waiting for k, (_, waiting) in ledger.groups.waiting_by_month().items() if k[0] in ids}
    model, note = ledger.get("model"), ledger.get("model_note")
    held_up = pausing(ledger, now)
    attention = [r.note for r in roots if r.note]
    for root in roots:
        sentence = waits(ledger, root, proposed[root.id][0], now)
        attention += [sentence] if sentence and root.online else []
        attention += cannot_move(ledger, root)
    attention += [*contradicted(ledger.journal.attention()), *beside]
    # While a daemon runs they are on their way.
    if daemon == "stopped" and (begun := len(ledger.journal.open_moves())):
        attention.append(
            f"{begun} move(s) were begun and not ended, and are not counted as moved: "
            "start the daemon, or run `dedupd scan`: both finish or take them back first"
        )
    paths = {r.path for r in roots}
    better = [b for b in ledger.held_checks.better() if b.root in paths]
    changed = [c for c in ledger.held_checks.changed() if c.root in paths]
    attention += [sentence for sentence in (told_changed(changed), told(better)) if sentence]
    if ledger.get("recipe") and not model:
        chosen = "perceptual hashes alone were chosen; `dedupd models` lists the embedders that see more"
        attention.append(note or chosen)
    left = ledger.deferred.count(model)
    if left:
        attention.append(left_to_compare(left))
    if not bars_in_force(ledger, model).calibrated:
        attention.append(
            f"{model} has no thresholds of its own yet and only proposes: `dedupd models calibrate` measures them"
        )
    return StatusView(
        daemon=daemon, roots=[r.path for r in roots], photos=sum(photos.values()),
        months_waiting=sum(months.values()),
        groups_waiting=sum(groups.values()), moved=sum(n for n, _ in held), bytes_saved=sum(b for _, b in held),
        model=model, attention=capped(attention), look_alikes_left=left,
        held_better=len(better), held_changed=len(changed),
        paused=held_up.paused, paused_until=held_up.until,
        skipped=sum(ledger.files.count(r.id, FileState.SKIPPED) for r in roots),
        undecoded=sum(ledger.files.count(r.id, FileState.UNDECODED) for r in roots),
        waiting_to_move=sum(n for n, _ in proposed.values()), bytes_to_move=sum(b for _, b in proposed.values()),
        root_details=[
            RootView(
                path=r.path, online=r.online, consented=r.consented_at is not None,
                photos=photos[r.id], months_waiting=months[r.id], note=r.note,
            )
            for r in roots
        ],
        last_run=max((m.clustered_at or 0.0 for m in ledger.months.all()), default=0.0) or None,
        version=__version__, not_looked_at=not_looked_at(ledger, roots),
    )  # fmt: skip


def resolve(ledger: Ledger, roots: Sequence[RootRow], path: str) -> Resolved:
    """The files, groups and moves a path means: absolute or relative to a root, before or after a move."""
    found = Resolved()
    for root in roots:
        relative = os.path.relpath(path, root.path) if os.path.isabs(path) else path
        file = ledger.files.at(root.id, relative)
        moves = ledger.journal.held_at(root.path, relative)
        purged = ledger.purges.purged_at(root.path, relative)
        found.files += [
            f for f in {*([file.id] if file else []), *(m.file for m in moves)} if f not in found.files
        ]
        found.moves += [*(m.id for m in moves), *purged]
    for file in found.files:
        found.groups += [g.id for g in ledger.groups.with_file(file) if g.id not in found.groups]
    return found


def group_relation(members: Sequence[MemberRow]) -> str:
    relations = {m.relation for m in members if m.role != "stays"} or {m.relation for m in members}
    return next((str(r) for r in _WEAKEST_FIRST if r in relations), str(Relation.SIMILAR))


def group_state(members: Sequence[MemberRow]) -> str:
    roles = {m.role for m in members}
    if "duplicate" in roles:
        return "proposed"
    if "review" in roles:
        return "review"
    return "settled" if "moved" in roles else "kept"


def _move_state(move: Move) -> str:
    if move.state is MoveState.INTENT:
        return "unfinished"
    if move.refusal is Refusal.PURGED:
        return "purged"
    if move.state is MoveState.DONE:
        return "moved" if move.goal is Goal.MOVED else "undone"
    return str(move.state)


def _captured(file: FileRow, traits: Mapping[str, Traits]) -> float | None:
    seen = traits.get(file.content or "")
    return None if seen is None else seen.captured


def _evidence(member: MemberRow, keeper: FileRow, file: FileRow) -> EvidenceView:
    proof: Evidence = member.evidence
    view = EvidenceView(
        relation=str(member.relation), cosine=proof.cosine, hash_distance=proof.hash_distance,
        seconds_apart=proof.seconds_apart, confidence=proof.confidence,
        only_here=list(proof.only_here), only_in_keeper=list(proof.only_in_keeper),
    )  # fmt: skip
    if member.relation is Relation.EXACT:
        view.overlap, view.residual = 1.0, 0.0
    elif proof.measures is not None and proof.measures.method != "none":
        member_is_a = (file.content or "") < (keeper.content or "")
        view.overlap = proof.measures.overlap_a if member_is_a else proof.measures.overlap_b
        view.residual = proof.measures.worst
    view.confidence = view.confidence_told
    return view


_REPORTED = (
    "id",
    "root",
    "month",
    "relation",
    "state",
    "keep",
    "duplicates",
    "review",
    "moved_to",
    "evidence",
)
"""What the report says of a group; scripts rely on these, no more and no less."""


def _reported(view: dict[str, Any]) -> dict[str, Any]:
    """Evidence with its reason, as the contract has it: what only one of the two holds is in the reason."""
    evidence = {
        path: {key: proof[key] for key in proof if key not in {"only_here", "only_in_keeper"}}
        | {"why": view["why"].get(path, "")}
        for path, proof in view["evidence"].items()
    }
    return {key: view[key] for key in _REPORTED} | {"evidence": evidence}


def _undecoded(ledger: Ledger, roots: Sequence[RootRow]) -> Iterator[tuple[RootRow, FileRow, str]]:
    """Photos whose bytes alone were compared, and what would have them decoded."""
    for root in roots:
        for file in ledger.files.in_state(FileState.UNDECODED, root.id):
            seen = ledger.contents.traits([file.content] if file.content else [])
            for traits in seen.values():
                if why := why_undecoded(traits.format):
                    yield root, file, why


def build_report(
    ledger: Ledger,
    disk: Disk,
    roots: Sequence[RootRow],
    keep_policy: str,
    now: float,
    month: str | None = None,
    only: Narrowed | None = None,
) -> dict[str, Any]:
    """The JSON report (DESIGN section 5): paths as before any move, relative to each group's root.

    `only`: its groups, and what was left alone, of what one scan counts.
    """
    reviewer, only = Reviewer(ledger, disk), only or Narrowed(ledger, disk, Narrowing())
    groups = [
        view
        for root in roots
        for view in reviewer.report(only.groups(root, ledger.groups.all(root.id, month)))
    ]
    one = len(roots) == 1
    skipped = [
        (root, file, file.reason)
        for root in roots
        for file in ledger.files.in_state(FileState.SKIPPED, root.id)
        if only.looks_at(file, root.path)
    ]
    undecoded = [(r, f, why) for r, f, why in _undecoded(ledger, roots) if only.looks_at(f, r.path)]
    return {
        "generated_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "root": roots[0].path if one else [r.path for r in roots],
        # Pictures that were seen, in duplicates/ too; videos, RAW and other media known by their bytes alone are none.
        "total_images": sum(ledger.files.count(r.id) + ledger.files.held_photos(r.id) for r in roots),
        "duplicate_groups": len({g.id for g in groups if g.duplicates}),
        "total_duplicates": sum(len(g.duplicates) for g in groups),
        "bytes_saved": sum(g.bytes for g in groups),
        "keep_policy": keep_policy,
        "model": ledger.get("model"),
        "skipped": [
            {"path": f.path if one else os.path.join(r.path, f.path), "reason": why}
            for r, f, why in (*skipped, *undecoded)
        ],
        "refused": [
            {"path": row.path if one else os.path.join(root.path, row.path), "reason": row.reason}
            for root in roots
            for row in ledger.refusals.standing(root.id)
        ],
        "groups": [_reported(view) for view in map(msgspec.to_builtins, groups)],
    }
