"""What a person decides: marks on one group's pictures, the requests they become, and the way back.

No Textual, no I/O. Must never invent a verdict: what is sent is what the marks on the screen say.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dedupd.protocol.messages import (
    MANY_IDS,
    Acted,
    Approve,
    Exchange,
    Forget,
    GroupDetail,
    GroupRef,
    GroupView,
    Judge,
    PhotoView,
    Reject,
    Undo,
)

Acting = Approve | Exchange | Reject | Judge | Undo | Forget

UNCOMPARED = "may hold more, as it was never compared with this keeper"
"""A member of a larger group for which a person chose another keeper than the one it was proven against."""


class Mark(StrEnum):
    """What shall become of one picture."""

    KEEPER = "keeper"
    MOVE = "move"
    KEEP = "keep"
    """A duplicate, but it stays where it is."""
    DIFFERENT = "different"
    """Not a duplicate of the keeper, for ever."""
    MOVED = "moved"
    """Lies in duplicates/ already."""


def new_key() -> str:
    """An idempotency key: the same request sent twice is done once."""
    return str(uuid.uuid4())


def ref(group: GroupView) -> GroupRef:
    return GroupRef(id=group.id, version=group.version)


class Draft:
    """The marks on one group until `a` sends them. Every change can be taken back, one at a time."""

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
        return not self._steps

    @property
    def settled(self) -> bool:
        """Something of the group has moved already: the keeper is fixed."""
        return any(photo.role == "moved" for photo in self.photos.values())

    def mark(self, file: int) -> Mark:
        return Mark.KEEPER if file == self.keeper else self.marks[file]

    def toggle(self, file: int) -> bool:
        """Move <-> stays. False when the picture cannot be toggled (it is the keeper)."""
        if file == self.keeper:
            return False
        proposal = self._proposal(self.photos[file])
        self._remember()
        self.marks[file] = self._other(self.photos[file]) if self.marks[file] is proposal else proposal
        return True

    def toggle_different(self, file: int) -> bool:
        """Not a duplicate of the keeper <-> as proposed."""
        if file == self.keeper:
            return False
        self._remember()
        different = self.marks[file] is Mark.DIFFERENT
        self.marks[file] = self._proposal(self.photos[file]) if different else Mark.DIFFERENT
        return True

    def make_keeper(self, file: int) -> bool:
        """Another picture stays instead. False when something has moved already: then the keeper is fixed (P7)."""
        if file == self.keeper or self.settled:
            return False
        self._remember()
        self.marks.pop(file)
        self.marks[self.keeper] = Mark.MOVE
        self.keeper = file
        return True

    def undo(self) -> bool:
        """Take the last change of a mark back."""
        if not self._steps:
            return False
        self.keeper, self.marks = self._steps.pop()
        return True

    def lost(self, file: int) -> list[str]:
        """What this picture holds and its keeper, as marked, lacks; one clause each."""
        known = self.group.evidence
        mine, keepers = known.get(self.photos[file].path), known.get(self.photos[self.keeper].path)
        if self.keeper == self._proposed_keeper or (keepers and keepers.relation == "exact"):
            return list(mine.only_here) if mine else []
        # The pair was compared the other way round; of same bytes it does not matter which.
        if keepers and (file == self._proposed_keeper or (mine and mine.relation == "exact")):
            return list(keepers.only_in_keeper)
        return [UNCOMPARED]

    def losses(self) -> list[tuple[PhotoView, list[str]]]:
        """The pictures that the marks move although their keeper lacks something, each with what."""
        found = [(self.photos[file], self.lost(file)) for file in self._marked(Mark.MOVE)]
        return [(photo, clauses) for photo, clauses in found if clauses]

    def requests(self) -> list[Acting]:
        """What the marks ask of the daemon; empty when they change nothing."""
        if self.settled:
            return self._corrections()
        group = ref(self.group)
        # Those that are not shown have no mark: a yes or no to the whole group would be a verdict on them too.
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
        back = [file for file in kept if self.photos[file].role == "moved"]
        counts = (
            ("move {}", len(self._marked(Mark.MOVE))),
            ("bring {} back", len(back)),
            ("{} stay", len(kept) - len(back)),
            ("{} not duplicates", len(self._marked(Mark.DIFFERENT))),
        )
        return ", ".join(words.format(count) for words, count in counts if count) or "nothing to do"

    def _corrections(self) -> list[Acting]:
        """A group that has moved: bring some back, part some for ever, move what was still waiting."""
        back = [self.photos[f].move for f in self._marked(Mark.KEEP) if self.photos[f].role == "moved"]
        moves = [move for move in back if move is not None]
        requests: list[Acting] = [Undo(moves=moves, key=new_key())] if moves else []
        waiting = {f for f, photo in self.photos.items() if photo.role != "moved"}
        different = self._marked(Mark.DIFFERENT)
        move = [f for f in self._marked(Mark.MOVE) if f in waiting]
        keep = [f for f in self._marked(Mark.KEEP) if f in waiting]
        if different or move or keep:
            judge = Judge(group=ref(self.group), move=move, different=different, keep=keep, key=new_key())
            # First, while the version the person saw is still the daemon's.
            requests.insert(0, judge)
        return requests

    def _marked(self, mark: Mark) -> list[int]:
        return [file for file, its in self.marks.items() if its is mark]

    def _proposal(self, photo: PhotoView) -> Mark:
        """What is proven, or a burst's own kind, moves; what is only similar stays unless a person says so."""
        if photo.role == "moved":
            return Mark.MOVED
        evidence = self.group.evidence.get(photo.path)
        unproven = photo.role == "review" and evidence is not None and evidence.relation == "similar"
        return Mark.KEEP if unproven else Mark.MOVE

    def _other(self, photo: PhotoView) -> Mark:
        """What a toggle changes the proposal to."""
        return Mark.KEEP if self._proposal(photo) is not Mark.KEEP else Mark.MOVE

    def _remember(self) -> None:
        self._steps.append((self.keeper, dict(self.marks)))


@dataclass(slots=True, kw_only=True, eq=False)
class Action:
    """Something a person asked for: what was sent, what came of it."""

    label: str
    """For people: 'approved IMG_1.jpg +2'."""
    requests: Sequence[Acting] = ()
    groups: tuple[int, ...] = ()
    before: Sequence[GroupView] = ()
    """Groups it moves files of, as they were."""
    takes_back: Action | None = None
    """The action this one undoes: its requests are known only once that one is done."""
    acted: Acted = field(default_factory=Acted)
    done: bool = False

    def asks(self) -> Sequence[Acting]:
        """What to send, asked at the moment of sending."""
        return self.requests if self.takes_back is None else self.takes_back.reversal()

    def add(self, acted: Acted) -> None:
        """One request's answer."""
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

    def reversal(self) -> list[Acting]:
        """The requests that take it back: its moves first, then what it taught."""
        if not self.done:
            return []
        back: list[Acting] = [Undo(moves=ids, key=new_key()) for ids in by_message(self.acted.moves)]
        if self.acted.batches:
            back.append(Undo(batches=self.acted.batches, key=new_key()))
        if self.acted.moved and not back:
            back += [Undo(group=group, key=new_key()) for group in self.groups]
        return back + [Forget(lessons=ids, key=new_key()) for ids in by_message(self.acted.lessons)]

    def would_wait(self, consented: Collection[str]) -> bool:
        """None of its groups, were they as before, would move by itself. consented: roots whose proposals do."""
        return bool(self.before) and all(
            group.state == "review" or (group.state == "proposed" and group.root not in consented)
            for group in self.before
        )


def by_message(ids: Sequence[int]) -> list[list[int]]:
    """As many at once as one message takes."""
    return [list(ids[at : at + MANY_IDS]) for at in range(0, len(ids), MANY_IDS)]
