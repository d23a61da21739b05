"""What a person should know, in few words: many files with one problem give one sentence.

Must never hide that there is more: what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dedupd.core.relocation import Move

SENTENCES = 30
"""Sentences shown at once, at most."""
LETTERS = 600
"""Length of one sentence, at most; a path may have 4,096 bytes."""
FOLDERS = 3
"""A reason found in more folders than this is told once for all of them."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one file or folder."""

    path: str
    sentence: str
    """About this one alone."""
    kind: str = ""
    """What reason it is, equal for all files it applies to; '': the sentence without its path says so."""

    @property
    def reason(self) -> str:
        return self.kind or (self.sentence.replace(self.path, "") if self.path else self.sentence)

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


@dataclass(slots=True)
class _Alike:
    """The files of one folder with one reason."""

    first: str
    """The sentence of the first."""
    count: int = 0


@dataclass(slots=True)
class Troubles:
    """What is wrong with many files: of each reason and folder the first sentence, and how many there are."""

    _reasons: dict[str, dict[str, _Alike]] = field(default_factory=dict[str, dict[str, _Alike]])

    def add(self, *troubles: Trouble) -> None:
        for trouble in troubles:
            folders = self._reasons.setdefault(trouble.reason, {})
            folders.setdefault(trouble.folder, _Alike(trouble.sentence)).count += 1

    def sentences(self) -> list[str]:
        """One sentence for each reason and folder, in the order they came; one for all folders where these are many."""
        said: list[str] = []
        for folders in self._reasons.values():
            if len(folders) > FOLDERS:
                every = _Alike(next(iter(folders.values())).first, sum(f.count for f in folders.values()))
                said.append(_together(every, f"{len(folders)} folders"))
            else:
                said += [_together(inside, folder or "the top folder") for folder, inside in folders.items()]
        return said


def gathered(troubles: Iterable[Trouble]) -> list[str]:
    """One sentence for each reason and folder; see Troubles."""
    found = Troubles()
    for trouble in troubles:
        found.add(trouble)
    return found.sentences()


def _together(alike: _Alike, where: str) -> str:
    first, count = alike.first, alike.count
    return first if count == 1 else f"{count} in {where} for the same reason, first: {first}"


def contradicted(moves: Iterable[Move]) -> list[str]:
    """Moves that the disk contradicts: a person has to look."""
    return gathered(
        Trouble(m.src, f"{m.src}: {m.error}; run `dedupd verify`", m.refusal or "") for m in moves
    )


def capped(sentences: Iterable[str]) -> list[str]:
    """Each sentence once, none too long; after the last one shown, how many more there are."""
    once = list(dict.fromkeys(sentence for sentence in sentences if sentence))
    told = [s if len(s) <= LETTERS else f"{s[:LETTERS]}…" for s in once[:SENTENCES]]
    left = len(once) - len(told)
    return [*told, f"and {left} more: mend the first ones, then look again"] if left else told
