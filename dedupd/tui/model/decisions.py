"""What a person decides about one group: marks on its pictures, the requests that they become, and their
undo.

Must never request more than the marks on the screen say, nor import Textual or do I/O.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dedupd.protocol.limits import MANY_IDS
from dedupd.protocol.requests import Approve, Exchange, ForgetLessons, GroupRef, Judge, Reject, Undo
from dedupd.protocol.results import Acted
from dedupd.protocol.views import GroupDetail, GroupView, PhotoView

ActingRequest = Approve | Exchange | Reject | Judge | Undo | ForgetLessons

UNCOMPARED = "may hold more, as it was never compared with this keeper"
"""What is said of a member when a person chose another keeper than the one it was compared with."""


class Mark(StrEnum):
    """What will happen to one picture."""

    KEEPER = "keeper"
    MOVE = "move"
    KEEP = "keep"
    """A duplicate, but it stays where it is."""
    DIFFERENT = "different"
    """Not a duplicate of the keeper: a lesson, until it is forgotten."""
    MOVED = "moved"
    """Is in duplicates/ already."""


def new_key() -> str:
    """An idempotency key: the daemon does a request once, even if it arrives twice."""
    return str(uuid.uuid4())


def ref(group: GroupView) -> GroupRef:
    return GroupRef(id=group.id, version=group.version)


class DecisionDraft:
    """The marks on one group until they are sent. Every change of a mark can be undone, one at a time."""

    def __init__(self, detail: GroupDetail) -> None:
        self.group = detail.group
        self.photos: dict[int, PhotoView] = {photo.file: photo for photo in detail.photos}
        self.keeper = next((p.file for p in detail.photos if p.role == "keeper"), detail.photos[0].file)
        self._proposed_keeper = self.keeper
        self.marks = {
            file: self._proposal(photo) for file, photo in self.photos.items() if file != self.keeper
        }
        self._steps: list[tuple[int, dict[int, Mark]]] = []

    @property
    def untouched(self) -> bool:
        """The marks are as dedupd proposed them."""
        return not self._steps

    @property
    def settled(self) -> bool:
        """A picture of the group has moved already: its keeper can no longer change (P7)."""
        return any(photo.role == "moved" for photo in self.photos.values())

    def mark(self, file: int) -> Mark:
        return Mark.KEEPER if file == self.keeper else self.marks[file]

    def toggle(self, file: int) -> bool:
        """Change between move and stay. False for the keeper, which cannot move."""
        if file == self.keeper:
            return False
        proposal = self._proposal(self.photos[file])
        self._remember()
        self.marks[file] = self._other(self.photos[file]) if self.marks[file] is proposal else proposal
        return True

    def toggle_different(self, file: int) -> bool:
        """Change between "not a duplicate" and the proposal. False for the keeper."""
        if file == self.keeper:
            return False
        self._remember()
        different = self.marks[file] is Mark.DIFFERENT
        self.marks[file] = self._proposal(self.photos[file]) if different else Mark.DIFFERENT
        return True

    def make_keeper(self, file: int) -> bool:
        """Make another picture the keeper. False for the keeper itself and for a settled group."""
        if file == self.keeper or self.settled:
            return False
        self._remember()
        self.marks.pop(file)
        self.marks[self.keeper] = Mark.MOVE
        self.keeper = file
        return True

    def undo(self) -> bool:
        """Undo the last change of a mark. False when there is none."""
        if not self._steps:
            return False
        self.keeper, self.marks = self._steps.pop()
        return True

    def lost(self, file: int) -> list[str]:
        """What this picture holds that the keeper, as marked, lacks; one clause each."""
        known = self.group.evidence
        mine, keepers = known.get(self.photos[file].path), known.get(self.photos[self.keeper].path)
        if self.keeper == self._proposed_keeper or (keepers and keepers.relation == "exact"):
            return list(mine.only_here) if mine else []
        # This pair was compared with the roles exchanged. For identical bytes the roles do not matter.
        if keepers and (file == self._proposed_keeper or (mine and mine.relation == "exact")):
            return list(keepers.only_in_keeper)
        return [UNCOMPARED]

    def losses(self) -> list[tuple[PhotoView, list[str]]]:
        """The pictures that the marks would move although they hold something that the keeper lacks, with
        what they hold."""
        found = [(self.photos[file], self.lost(file)) for file in self._marked(Mark.MOVE)]
        return [(photo, clauses) for photo, clauses in found if clauses]

    def requests(self) -> list[ActingRequest]:
        """What the marks ask of the daemon; empty when they change nothing."""
        if self.settled:
            return self._corrections()
        group = ref(self.group)
        # Members that are not shown have no mark: approving or rejecting the whole group would decide about them too.
        if self.keeper == self._proposed_keeper and not self.group.left_out:
            if all(mark is Mark.MOVE for mark in self.marks.values()):
                return [Approve(groups=[group], key=new_key())]
            if all(mark is Mark.DIFFERENT for mark in self.marks.values()):
                return [Reject(groups=[group], key=new_key())]
        return [
            Judge(
                group=group,
                keeper=None if self.keeper == self._proposed_keeper else self.keeper,
                move=self._marked(Mark.MOVE),
                different=self._marked(Mark.DIFFERENT),
                keep=self._marked(Mark.KEEP),
                key=new_key(),
            )
        ]

    def summary(self) -> str:
        """One clause: 'move 2, 1 stays, 1 is no duplicate'."""
        kept = self._marked(Mark.KEEP)
        undone = [file for file in kept if self.photos[file].role == "moved"]
        counts = (
            ("move {}", len(self._marked(Mark.MOVE))),
            ("bring {} back", len(undone)),
            ("{} stay", len(kept) - len(undone)),
            ("{} not duplicates", len(self._marked(Mark.DIFFERENT))),
        )
        return ", ".join(words.format(count) for words, count in counts if count) or "nothing to do"

    def _corrections(self) -> list[ActingRequest]:
        """Requests for a group that has moved: undo some moves, mark some as different, move what still waited."""
        undone = [self.photos[f].move for f in self._marked(Mark.KEEP) if self.photos[f].role == "moved"]
        moves = [move for move in undone if move is not None]
        requests: list[ActingRequest] = [Undo(moves=moves, key=new_key())] if moves else []
        waiting = {f for f, photo in self.photos.items() if photo.role != "moved"}
        different = self._marked(Mark.DIFFERENT)
        move = [f for f in self._marked(Mark.MOVE) if f in waiting]
        keep = [f for f in self._marked(Mark.KEEP) if f in waiting]
        if different or move or keep:
            judge = Judge(group=ref(self.group), move=move, different=different, keep=keep, key=new_key())
            # First, because an undo gives the group a new version and the request names the version that the
            # person saw.
            requests.insert(0, judge)
        return requests

    def _marked(self, mark: Mark) -> list[int]:
        return [file for file, its in self.marks.items() if its is mark]

    def _proposal(self, photo: PhotoView) -> Mark:
        """What dedupd proposes: a picture that is only similar stays, every other relation moves."""
        if photo.role == "moved":
            return Mark.MOVED
        evidence = self.group.evidence.get(photo.path)
        unproven = photo.role == "review" and evidence is not None and evidence.relation == "similar"
        return Mark.KEEP if unproven else Mark.MOVE

    def _other(self, photo: PhotoView) -> Mark:
        """What `toggle` changes the proposal to."""
        return Mark.KEEP if self._proposal(photo) is not Mark.KEEP else Mark.MOVE

    def _remember(self) -> None:
        self._steps.append((self.keeper, dict(self.marks)))


@dataclass(slots=True, kw_only=True, eq=False)
class Action:
    """Something that a person asked for: its requests, and what the daemon did."""

    label: str
    """For people: 'approved IMG_1.jpg +2'."""
    requests: Sequence[ActingRequest] = ()
    groups: tuple[int, ...] = ()
    before: Sequence[GroupView] = ()
    """The groups whose files the action moves, as they were before."""
    undoes: Action | None = None
    """The action that this one undoes; its requests are known only when that one is done."""
    acted: Acted = field(default_factory=Acted)
    done: bool = False

    def requests_now(self) -> Sequence[ActingRequest]:
        """The requests to send; called at the moment of sending."""
        return self.requests if self.undoes is None else self.undoes.undo_requests()

    def add(self, acted: Acted) -> None:
        """Add the daemon's answer to one of the requests."""
        self.acted = Acted(
            moved=self.acted.moved + acted.moved,
            restored=self.acted.restored + acted.restored,
            kept=self.acted.kept + acted.kept,
            waiting=acted.waiting,
            messages=[*self.acted.messages, *acted.messages],
            moves=[*self.acted.moves, *acted.moves],
            batches=[*self.acted.batches, *acted.batches],
            lessons=[*self.acted.lessons, *acted.lessons],
        )

    def undo_requests(self) -> list[ActingRequest]:
        """The requests that undo it: first its moves, then its lessons."""
        if not self.done:
            return []
        undo: list[ActingRequest] = [Undo(moves=ids, key=new_key()) for ids in batched(self.acted.moves)]
        if self.acted.batches:
            undo.append(Undo(batches=self.acted.batches, key=new_key()))
        if self.acted.moved and not undo:
            undo += [Undo(group=group, key=new_key()) for group in self.groups]
        return undo + [ForgetLessons(lessons=ids, key=new_key()) for ids in batched(self.acted.lessons)]

    def would_wait(self, consented: Collection[str]) -> bool:
        """Whether all its groups, in their state before, would wait for a person. consented: roots that move by themselves."""
        return bool(self.before) and all(
            group.state == "review" or (group.state == "proposed" and group.root not in consented)
            for group in self.before
        )


def batched(ids: Sequence[int]) -> list[list[int]]:
    """`ids` in lists that each fit into one message."""
    return [list(ids[at : at + MANY_IDS]) for at in range(0, len(ids), MANY_IDS)]
