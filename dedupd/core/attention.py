"""What a person should know, in few words: many files with one problem give one sentence.

Must never hide that there is more: what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def gathered(troubles: Iterable[Trouble]) -> list[str]:
    """One sentence for each reason and folder, in the order they came; one for all folders where these are many."""
    reasons: dict[str, dict[str, list[Trouble]]] = {}
    for trouble in troubles:
        reasons.setdefault(trouble.reason, {}).setdefault(trouble.folder, []).append(trouble)
    said: list[str] = []
    for folders in reasons.values():
        if len(folders) > FOLDERS:
            every = [trouble for inside in folders.values() for trouble in inside]
            said.append(_together(every, f"{len(folders)} folders"))
        else:
            said += [_together(inside, folder or "the top folder") for folder, inside in folders.items()]
    return said


def _together(troubles: list[Trouble], where: str) -> str:
    first = troubles[0].sentence
    return first if len(troubles) == 1 else f"{len(troubles)} in {where} for the same reason, first: {first}"


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
