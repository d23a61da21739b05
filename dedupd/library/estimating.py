"""An estimate of a first scan, with a worker of its own, which leaves nothing in the library's index or under a root."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.vision.client import VisionWorker
from dedupd.config import Places, Settings
from dedupd.core.narrowing import Narrowing
from dedupd.errors import StateError
from dedupd.library.view import scope_of
from dedupd.pipeline.estimate import Estimate, estimate
from dedupd.pipeline.roots import quiet
from dedupd.ports import Progress


def estimate_scan(
    settings: Settings, where: Places, narrowing: Narrowing | None = None, on_progress: Progress = quiet
) -> Estimate:
    """What a first scan of these roots would come to. Needs no lock. Raises RootError, VisionError, StateError."""
    try:
        where.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = TemporaryDirectory(prefix="estimate-", dir=where.state, ignore_cleanup_errors=True)
    except OSError as error:
        raise StateError(
            f"the state folder {where.state} cannot be made ({error.strerror}): use another --state-dir"
        ) from None
    with scratch as index:
        vision = VisionWorker(
            Path(index), where.cache, settings.embedder, batch_size=settings.batch_size, jobs=settings.jobs,
            gpus=settings.gpus, gpu_memory_fraction=settings.gpu_memory_fraction,
        )  # fmt: skip
        try:
            return estimate(
                [str(root) for root in settings.roots], LocalDisk(), vision, SystemClock(), scope_of(settings),
                narrowing or Narrowing(), on_progress,
            )  # fmt: skip
        finally:
            vision.rest()
