"""`dedupd models use`: prepare another embedder in the shadow, say what it would change, ask, switch.

The daemon does the work when one runs; else it is done here, under the lock.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any, Protocol

from dedupd.adapters.fs.lock import hold
from dedupd.cli.console import Progress, answer, answer_json, can_ask, progress_bar, says_yes, tell
from dedupd.cli.opening import opened_for_acting
from dedupd.cli.tune import as_json, print_change
from dedupd.client.connection import Refused, ask
from dedupd.config import Places, Settings
from dedupd.core.summary import visible
from dedupd.errors import AlreadyRunning, ConsentNeeded, ExitCode, NoDaemon, UsageError
from dedupd.library import Library, LibraryView
from dedupd.pipeline.measure_thresholds import bars_in_force
from dedupd.pipeline.shadow import in_preparation
from dedupd.pipeline.tune import tune
from dedupd.protocol.messages import Done, Prepared, PrepareModel, SwitchModel


class _Hands(Protocol):
    """Who does it."""

    def prepare(self, name: str, progress: Progress) -> None: ...

    def switch(self, name: str, progress: Progress) -> None: ...


class _Daemon:
    def __init__(self, settings: Settings, places: Places) -> None:
        self._settings, self._socket = settings, places.socket

    def prepare(self, name: str, progress: Progress) -> None:
        request = PrepareModel(model=name, settings=self._settings.decisive)
        while not (reached := ask(self._socket, request, Prepared, timeout=None)).ready:
            if reached.phase:
                progress(reached.phase, reached.done, reached.total)

    def switch(self, name: str, progress: Progress) -> None:
        ask(self._socket, SwitchModel(model=name), Done, timeout=None)


class _Here:
    def __init__(self, library: Library) -> None:
        self._library = library

    def prepare(self, name: str, progress: Progress) -> None:
        self._library.catch_up(on_progress=progress)
        self._library.prepare_model(name, on_progress=progress)

    def switch(self, name: str, progress: Progress) -> None:
        self._library.switch_model(name, on_progress=progress)


def use(arguments: argparse.Namespace) -> int:
    """Exit 3 when it is prepared and nobody could be asked."""
    settings, places = opened_for_acting(arguments)
    _check_config(settings, arguments.name)
    try:
        return _use(arguments, settings, places, _Daemon(settings, places))
    except Refused as refusal:
        if refusal.tried:
            raise
        raise AlreadyRunning(str(refusal)) from None
    except NoDaemon:
        with hold(places, settings.roots) as locks, Library(settings, places, locks=locks) as library:
            library.recover()
            return _use(arguments, settings, places, _Here(library))


def _check_config(settings: Settings, name: str) -> None:
    if settings.embedder not in ("auto", name):
        raise UsageError(
            f'{settings.source or "config.toml"} says embedder = "{settings.embedder}": '
            'set it to "auto" there, then choose again'
        )


def _use(arguments: argparse.Namespace, settings: Settings, places: Places, hands: _Hands) -> int:
    name = arguments.name
    with progress_bar() as progress:
        hands.prepare(name, progress)
        with closing(LibraryView(settings, places)) as view:
            model, photos = in_preparation(view.ledger), view.ledger.inventory.count_contents()
            if model is None:
                answer(f"{visible(name)} is in use already")
                return int(ExitCode.OK)
            roots = [root for root in view.roots if root.online]
            found = tune(view.ledger, view.disk, roots, settings, settings, model, on_progress=progress)
            calibrated = bars_in_force(view.ledger, model).calibrated
    facts = {"model": model or "hashes", "photos": photos, **as_json(found)}
    if not arguments.json:
        print_change(found)
    if not calibrated:
        tell(
            f"note: {visible(name)} found no thresholds on these photos: it only proposes, and no burst moves"
        )
    if not (arguments.yes or arguments.dry_run) and photos:
        arguments.yes = _asked(arguments, facts)
    switching = not arguments.dry_run and (arguments.yes or not photos)
    if switching:
        with progress_bar() as progress:
            hands.switch(name, progress)
    if arguments.json:
        answer_json({**facts, "switched": switching})
    elif switching:
        answer(f"{visible(name)} is in use; nothing moved, and what you said of your photos stands")
    else:
        answer(
            f"nothing changed; {visible(name)} stays prepared: `dedupd models use {visible(name)} --yes` switches"
        )
    return int(ExitCode.OK)


def _asked(arguments: argparse.Namespace, facts: dict[str, Any]) -> bool:
    """Raises ConsentNeeded when nobody can be asked."""
    if not arguments.json and can_ask():
        return says_yes("Switch?")
    if arguments.json:
        answer_json({**facts, "switched": False})
    raise ConsentNeeded(
        f"{visible(arguments.name)} is prepared and nobody could be asked: "
        "look at what would change, then run the same command with --yes"
    )
