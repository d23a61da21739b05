"""How fast files move by themselves where a sync client watches, so that it takes them for no mass deletion.

Owns the count of the last minute. Must never hold back what a person asked for: who says yes is there to answer the
client's question, and waits for the end; nor what comes back (undo, rescue).

Sources of the default of 30 a minute: OneDrive asks after 200 deleted files "within a short time"
(LocalMassDeleteFileDeleteThreshold, 200 when not set), Nextcloud's client after 100 (deleteFilesThreshold). A move is a
deletion and a new file to a client that has not seen both; three minutes of moves stay below either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from dedupd.core.records import ProposedRow
from dedupd.ports import Clock

MINUTE = 60.0
BUSY_SECONDS = 30.0
"""Until it is asked again whether the client is still at work."""


class SyncPace:
    """How many files may move now, for each root."""

    def __init__(
        self, per_minute: int, clock: Clock, client_of: Callable[[str], str],
        at_work: Callable[[str, Iterable[str]], bool],
    ) -> None:  # fmt: skip
        """per_minute: 0 for no limit. client_of(root): '' where none watches. at_work(root, folders)."""
        self.per_minute, self._clock = per_minute, clock
        self._client_of, self._at_work = client_of, at_work
        self._moved: dict[str, deque[tuple[float, int]]] = {}

    def client(self, root: str) -> str:
        """Whose pace counts in this root; '' when files may move as fast as they can."""
        return self._client_of(root) if self.per_minute else ""

    def busy(self, root: str, folders: Iterable[str]) -> bool:
        """Whether the client of this root is at work in one of these folders."""
        return bool(self.client(root)) and self._at_work(root, folders)

    def portion(self, root: str, groups: Sequence[ProposedRow]) -> Sequence[ProposedRow]:
        """As many of these, from the first on, as may move now: all of them where nobody watches."""
        if not self.client(root):
            return groups
        left, chosen = self.per_minute - self._lately(root), list[ProposedRow]()
        alone = left == self.per_minute
        for group in groups:
            left -= len(group.files)
            # A group of more than a minute's files goes by itself.
            if left < 0 and not (alone and not chosen):
                break
            chosen.append(group)
        return chosen

    def note(self, root: str, files: int) -> None:
        """So many have moved in this root just now."""
        if files and self.client(root):
            self._moved.setdefault(root, deque()).append((self._clock.since_boot(), files))

    def wait(self, root: str) -> float:
        """Seconds until more may move."""
        self._lately(root)
        moved = self._moved.get(root)
        return max(1.0, moved[0][0] + MINUTE - self._clock.since_boot()) if moved else 1.0

    def told(self, root: str, left: int) -> str:
        """One sentence for people about what is left."""
        return (
            f"{left} file(s) in {root} move in the next minutes, {self.per_minute} a minute: {self.client(root)} keeps "
            "this folder and may take more for a mass deletion (speed.moves_per_minute)"
        )

    def _lately(self, root: str) -> int:
        moved = self._moved.get(root)
        while moved and moved[0][0] <= self._clock.since_boot() - MINUTE:
            moved.popleft()
        return sum(files for _, files in moved or ())
