"""`dedupd models calibrate`: the embedder in force measures its thresholds on the library."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from dedupd.adapters.fs.lock import hold
from dedupd.cli.console import Progress, answer, answer_json, progress_bar
from dedupd.cli.opening import opened_for_acting
from dedupd.client.connection import Refused, ask
from dedupd.config import Places, Settings
from dedupd.core.summary import visible
from dedupd.core.thresholds import OwnThresholds, shipped
from dedupd.errors import AlreadyRunning, ExitCode, NoDaemon, UsageError
from dedupd.library import Library
from dedupd.protocol.messages import Calibrate, Prepared


def calibrate(arguments: argparse.Namespace) -> int:
    """By the daemon when one runs, else here, under the lock."""
    if arguments.name:
        raise UsageError(
            f"only the model in use is calibrated: `dedupd models use {arguments.name}` calibrates that one as it comes"
        )
    settings, places = opened_for_acting(arguments)
    with progress_bar() as progress:
        try:
            found = _by_the_daemon(places, progress)
        except Refused as refusal:
            if refusal.tried:
                raise
            raise AlreadyRunning(str(refusal)) from None
        except NoDaemon:
            found = _here(settings, places, progress)
    if arguments.json:
        answer_json({**asdict(found), "in_force": not shipped(found.model)})
    else:
        _print(found)
    return int(ExitCode.OK)


def _by_the_daemon(places: Places, progress: Progress) -> OwnThresholds:
    while not (reached := ask(places.socket, Calibrate(), Prepared, timeout=None)).ready:
        if reached.phase:
            progress(reached.phase, reached.done, reached.total)
    return OwnThresholds.from_json(reached.thresholds)


def _here(settings: Settings, places: Places, progress: Progress) -> OwnThresholds:
    with hold(places, settings.roots) as locks, Library(settings, places, locks=locks) as library:
        library.recover()
        library.catch_up(on_progress=progress)
        found = library.calibrate(on_progress=progress)
        assert found is not None  # nobody stopped it
        library.summarise(library.cluster(on_progress=progress))
        return found


def _print(found: OwnThresholds) -> None:
    burst = "no burst moves" if found.burst is None else f"{found.burst:.3f}"
    answer(f"{visible(found.model) or 'hashes'}: measured on {found.photos} photo(s) of this library")
    answer(
        f"  worth aligning     {found.candidate:.3f} within a month, {found.across:.3f} across the library"
    )
    answer(f"  similar, to review {found.similar:.3f}")
    answer(f"  burst              {burst}")
    answer(
        f"  from {found.copies} copies, {found.strangers} pairs of strangers, {found.neighbours} neighbours in time"
    )
    if shipped(found.model):
        answer("the thresholds that dedupd brings for this model stay in force")
