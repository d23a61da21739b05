"""The composition root: makes the adapters and pipelines of one library from its settings, and follows changed settings.

The only module that knows every adapter. Must never act by itself: it only makes the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs.discarding import Discarder
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.lock import Locks
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.adapters.fs.summary_files import SummaryFiles
from dedupd.adapters.fs.sync_folders import at_work, client_of
from dedupd.adapters.ledger import Ledger
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.embedders.registry import parse as parse_model
from dedupd.adapters.vision.messages import RemoteServices
from dedupd.config import Embedding, Places, Settings
from dedupd.core.narrowing import Narrowing
from dedupd.errors import ConfigError, StateError, UsageError, VisionError
from dedupd.library.view import scope_of
from dedupd.pipeline.annotate import Annotator
from dedupd.pipeline.compare import Comparison, forget_older_measures
from dedupd.pipeline.consent import Lately
from dedupd.pipeline.keepers import Keepers
from dedupd.pipeline.movement import Movement
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.pace import SyncPace
from dedupd.pipeline.purge import Purging
from dedupd.pipeline.recluster import Grouper
from dedupd.pipeline.reread import Rereader
from dedupd.pipeline.review import Reviewer, build_report
from dedupd.pipeline.roots import Roots
from dedupd.pipeline.summarise import Summaries
from dedupd.pipeline.verdicts import Verdicts
from dedupd.ports import Clock, Vision


class Parts:
    """The parts of one library. A caller names the part it uses: `library.movement.undo(...)`.

    Adapters, and what was told and asked, last as long as the library. The pipelines depend on the settings and on the
    embedder in force, and are built again when these change.
    """

    roots: Roots
    """The configured roots, and what changed below them."""
    annotator: Annotator
    """Sidecars beside keepers."""
    grouper: Grouper
    """Groups of the months that changed."""
    movement: Movement
    """Moves, undo, rescue: all that moves files."""
    purging: Purging
    """Purges: into the trash at a person's command, and back."""
    verdicts: Verdicts
    """Acts of people: yes, no, keep, another keeper, forget."""
    rereader: Rereader
    """Reads files again that may have changed unseen."""
    summaries: Summaries
    """The summary logs of months."""

    def __init__(
        self, settings: Settings, where: Places, *, vision: Vision | None = None, clock: Clock | None = None,
        locks: Locks | None = None, background: bool = False,
    ) -> None:  # fmt: skip
        """Opens the ledger. The caller holds `locks`; locks of disks that come later are added. `background`: nobody waits, so
        half of the cores are used. StateError, LedgerDamaged."""
        self._background = background
        self.settings, self.places, self._locks = settings, where, locks
        self.clock: Clock = clock or SystemClock()
        self.disk = LocalDisk()
        _make_private(where.state)
        self.ledger = Ledger(where.ledger)
        forget_older_measures(self.ledger, self.clock)
        self.mover = FileMover(self.clock, settings.schedule.settle_seconds)
        self.vision: Vision = vision or self.vision_worker()
        self._keepers = Keepers(self.ledger, self.clock)
        self._lately = Lately(self.ledger, self.clock)
        self._comparison: Comparison | None = None
        self._pace: SyncPace | None = None
        self._build({})

    def _build(self, problems: Mapping[str, str]) -> None:
        """Build the pipelines. `problems`: what people should know of the roots already."""
        settings, ledger, disk, clock = self.settings, self.ledger, self.disk, self.clock
        self.roots = Roots(map(str, settings.roots), ledger, disk, clock, scope_of(settings), self._lock_root)
        self.roots.problems.update(problems)
        self.annotator = Annotator(
            ledger, self.vision, disk, SidecarFiles(), self.roots, clock, on=settings.metadata == "sidecar"
        )
        comparison = self._same_comparison()
        self.grouper = Grouper(ledger, disk, clock, settings, self.roots, comparison)
        self.movement = Movement(
            ledger, self.mover, disk, clock, settings, self.roots, keepers=self._keepers, lately=self._lately,
            ensure_complete=comparison.ensure_complete, annotate=self.annotator.settle, lock=self._lock_root,
            pace=self._same_pace(),
        )  # fmt: skip
        self.purging = Purging(
            ledger,
            Discarder(self.mover),
            disk,
            clock,
            settings,
            self.roots,
            self.movement,
            lock=self._lock_root,
        )
        self.verdicts = Verdicts(
            ledger, disk, clock, settings, self.roots, self.movement,
            regroup=self.grouper.regroup, annotate=self.annotator.settle,
        )  # fmt: skip
        self.rereader = Rereader(ledger, disk, clock, self.roots, self._keepers)
        self.summaries = Summaries(
            ledger, self.reviewer, SummaryFiles(self.places.logs), settings, clock, self.roots
        )

    def _same_pace(self) -> SyncPace:
        """What moved within the minute counts when settings change, too."""
        wanted = self.settings.speed.moves_per_minute
        if self._pace is None or self._pace.per_minute != wanted:
            self._pace = SyncPace(wanted, self.clock, client_of, at_work)
        return self._pace

    def _same_comparison(self) -> Comparison:
        """The same Comparison while embedder and threshold stay, so that the index is checked once and not for each photo."""
        wanted = self.vision, self.settings.threshold
        if self._comparison is None or (self._comparison.vision, self._comparison.threshold) != wanted:
            self._comparison = Comparison(self.ledger, self.vision, self.clock, self.settings.threshold)
        return self._comparison

    def recover(self) -> None:
        """Finish or undo what a crash interrupted, before anything else moves: the moves (pipeline/relocate.py: recover), then
        the purges (pipeline/purge.py: recover)."""
        self.movement.recover()
        self.purging.recover()

    # ---- changes while it is open

    def follow(self, settings: Settings) -> list[str]:
        """Use these settings from now on. Returns a sentence for each that only a restart or a command can change.

        As after a restart, the next pass groups again what these settings decide otherwise.
        """
        told: list[str] = []
        before = self.settings
        if set(settings.roots) != set(before.roots):
            told.append(
                f"{settings.source} names other folders than this daemon watches: restart it to follow them"
            )
            settings = replace(settings, roots=before.roots)
        try:
            self._check_embedder(settings.embedder)
        except (ConfigError, UsageError) as error:
            told.append(str(error))
            settings = replace(settings, embedder=before.embedder)
        self.settings = settings
        self.mover.settle_timer.seconds = settings.schedule.settle_seconds
        if _worker_settings(settings) != _worker_settings(before) and isinstance(self.vision, VisionWorker):
            self.vision.rest()
            self.vision = self.vision_worker()
        self._build(self.roots.problems)
        return told

    def change_vision(self, vision: Vision) -> None:
        """Use another embedder from now on, in all parts."""
        self.vision.rest()
        self.vision = vision
        self._build(self.roots.problems)

    # ---- what is made on demand

    def vision_worker(self, embedder: str = "") -> Vision:
        """A worker with this embedder. Without a name the recorded choice stands, which only `models use` changes;
        UsageError when the settings name another, ConfigError when they name none.
        """
        if not embedder:
            self._check_embedder(self.settings.embedder)
        setting = embedder or self.ledger.get("embedder") or self.settings.embedder
        return VisionWorker(
            remote=_remote_services(self.settings.embedding), index_dir=self.places.index, cache_dir=self.places.cache, embedder=setting,
            batch_size=self.settings.batch_size, idle_seconds=self.settings.schedule.worker_idle_seconds,
            jobs=self.settings.jobs, waited_for=not self._background, gpus=self.settings.gpus,
            gpu_memory_fraction=self.settings.gpu_memory_fraction, gpu_decode=self.settings.gpu_decode,
        )  # fmt: skip

    @property
    def reviewer(self) -> Reviewer:
        """Groups, months and moves as people see them."""
        return Reviewer(self.ledger, self.disk)

    def narrowed(self, narrowing: Narrowing) -> Narrowed:
        """What one scan counts of this library."""
        return Narrowed(self.ledger, self.disk, narrowing)

    def report(self, only: Narrowed | None = None) -> dict[str, Any]:
        """The JSON report of DESIGN section 5; of what a scan counts, if asked."""
        return build_report(
            self.ledger, self.disk, self.roots.all, self.settings.keep_policy, self.clock.now(), only=only
        )

    def _check_embedder(self, asked: str) -> None:
        recorded = self.ledger.get("embedder")
        if asked in {"auto", recorded}:
            return
        try:
            wanted = parse_model(asked)
        except VisionError as error:
            raise ConfigError(str(error)) from None
        if recorded and not _same_embedder(wanted, recorded):
            raise UsageError(
                f"this library's photos were seen with {recorded}, not with {asked}: "
                f"switch with `dedupd models use {asked}`, or leave the embedder out"
            )

    def _lock_root(self, root: str) -> None:
        """Lock a disk that came later, or another one at this path. Raises AlreadyRunning."""
        if self._locks is not None:
            self._locks.add(Path(root))


def _worker_settings(settings: Settings) -> tuple[object, ...]:
    """The arguments of a worker."""
    cards = settings.gpus, settings.gpu_memory_fraction, settings.gpu_decode
    machine = settings.jobs, *cards, settings.embedding
    return settings.embedder, settings.batch_size, settings.schedule.worker_idle_seconds, *machine


def _remote_services(embedding: Embedding) -> RemoteServices | None:
    if embedding.mode == "local":
        return None
    return RemoteServices(
        mode=embedding.mode, urls=list(embedding.url), protocol=embedding.protocol,
        token_file=embedding.token_file, ca_file=embedding.ca_file,
    )  # fmt: skip


def _same_embedder(asked: Model, known: str) -> bool:
    """What the name asked for leaves open (the tag of the weights, the digest of a checkpoint) is filled in where it is recorded."""
    try:
        recorded = parse_model(known)
    except VisionError:  # its file is gone: it is none that can be asked for
        return False
    return asked.id == recorded.id or (
        asked.name != ""
        and (asked.family, asked.name, asked.checkpoint)
        == (recorded.family, recorded.name, recorded.checkpoint)
        and asked.pretrained in ("", recorded.pretrained)
        and asked.digest in ("", recorded.digest)
    )


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be made ({error.strerror}): use another --state-dir"
        ) from None
