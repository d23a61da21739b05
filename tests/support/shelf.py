"""A library of pseudo-photos on a real disk: real ledger, real mover, real folders; only the eyes are a twin.

Its census reads the disk with the standard library alone, so that dedupd is never its own witness.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blake3 import blake3

from dedupd.config import Places, Settings
from dedupd.core.records import GroupRow, MemberRow, RootRow
from dedupd.library import Library, Moved
from dedupd.protocol.views import GroupView
from tests.fakes.clock import FakeClock
from tests.fakes.vision import FakeVision, pseudo_photo

OWN = (".dedupd-root.json", ".dedupd-receipts.jsonl")


class Shelf:
    """One library over one or more roots below `at`. Use `pass_` as the daemon would, `scan` as the command."""

    def __init__(self, at: Path, roots: Iterable[str] = ("Pictures",), **settings: Any) -> None:
        self.at = at
        self.settings: dict[str, Any] = settings
        self.roots = [at / name for name in roots]
        for root in self.roots:
            root.mkdir(parents=True, exist_ok=True)
        self.clock = FakeClock()
        self.vision = FakeVision(model="lite0-gem/1")
        self.open()

    def open(self, **settings: Any) -> None:
        """Open the library, as after a restart."""
        self.settings |= settings
        where = Places(
            state=self.at / "state", config=self.at / "config.toml", socket=self.at / "dedupd.sock"
        )
        self.library = Library(
            Settings(roots=tuple(self.roots), **self.settings), where, vision=self.vision, clock=self.clock
        )
        self.ledger = self.library.ledger

    def close(self) -> None:
        self.library.close()

    def again(self, **settings: Any) -> None:
        """Restart: another process opens the same state."""
        self.close()
        self.open(**settings)
        self.library.movement.recover()

    # ---- the owner's hands

    @property
    def root(self) -> Path:
        return self.roots[0]

    def path(self, name: str, root: int = 0) -> Path:
        return Path(os.fsdecode(os.path.join(os.fsencode(self.roots[root]), os.fsencode(name))))

    def add(
        self, name: str, scene: str = "lake", exposure: str = "1", rendering: str = "original", *,
        root: int = 0, **traits: Any,
    ) -> Path:  # fmt: skip
        """A photo on the disk. A smaller `width` makes a copy that never keeps."""
        path = self.path(name, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pseudo_photo(scene, exposure, rendering, **traits))
        return path

    def pair(self, keeper: str, copy: str, scene: str = "lake", **where: Any) -> tuple[Path, Path]:
        """An original and a smaller copy of it, other bytes of the same exposure."""
        return self.add(keeper, scene, **where), self.small(copy, scene, **where)

    def small(self, name: str, scene: str = "lake", rendering: str = "small", **where: Any) -> Path:
        return self.add(name, scene, rendering=rendering, width=800, height=600, **where)

    # ---- dedupd's passes

    def look(self) -> None:
        """Reconcile, index and group: all that comes before a move."""
        self.library.roots.reconcile()
        self.library.passes.ingest()
        self.library.grouper.regroup()

    def pass_(self, *, yes: bool = True) -> Moved:
        """What the daemon does every so often; with `yes` the root's first moves are allowed."""
        self.library.roots.reconcile()
        self.library.movement.rescue()
        self.library.passes.ingest()
        self.library.grouper.regroup()
        if yes:
            self.library.movement.consent()
        moved = self.library.movement.move()
        self.library.grouper.regroup()
        return moved

    # ---- what a test asks

    @property
    def row(self) -> RootRow:
        return self.library.roots.all[0]

    def group(self) -> GroupRow:
        (group,) = self.ledger.groups.all()
        return group

    def member(self) -> MemberRow:
        (member,) = self.group().members
        return member

    def views(self) -> list[GroupView]:
        return self.library.groups()

    def files(self, root: int = 0) -> set[str]:
        """Relative paths of all files but dedupd's own, as bytes decoded for the eye."""
        found: set[str] = set()
        for folder, _, names in os.walk(os.fsencode(self.roots[root])):
            if b"duplicates_summary" in folder:
                continue
            for name in names:
                at = os.path.relpath(os.path.join(folder, name), os.fsencode(self.roots[root]))
                if os.fsdecode(name) not in OWN:
                    found.add(os.fsdecode(at))
        return found

    def census(self, root: int = 0) -> Counter[str]:
        """How often each content lies below the root."""
        return Counter(blake3(self.path(name, root).read_bytes()).hexdigest() for name in self.files(root))

    def proposals(self) -> dict[str, str]:
        """path -> keeper of all that would move unattended."""
        return {p: v.keep for v in self.views() for p in v.duplicates if p not in v.moved_to}

    def stars(self) -> set[tuple[str, frozenset[tuple[str, str, str]]]]:
        """Every group by paths: (keeper, {(member, role, relation)}); what two ledgers must agree on."""
        rows = {f.id: f for root in self.library.roots.all for f in self.ledger.files.of_root(root.id)}
        return {
            (rows[g.keeper].path, frozenset((rows[m.file].path, m.role, str(m.relation)) for m in g.members))
            for g in self.ledger.groups.all()
            if g.keeper in rows
        }


def age(path: Path, seconds: float) -> None:
    """Set a file's mtime back."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - int(seconds * 1e9)))
