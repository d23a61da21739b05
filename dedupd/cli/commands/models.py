"""`dedupd models`: list embedders, download one, choose one, measure the thresholds of the one in use.

Choosing prepares the other embedder beside the one in use, says what it would change, asks, and switches. The
daemon does the work when one runs; otherwise this process does, under the lock.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dedupd.cli.console import answer, answer_json, can_ask, progress_bar, says_yes, tell
from dedupd.cli.opening import opened, opened_for_acting
from dedupd.cli.options import Commands, add_command, add_json, parse_positive
from dedupd.errors import AlreadyRunning, ConsentNeeded, ExitCode, NoDaemon, NothingYet, UsageError

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.core.thresholds import OwnThresholds
    from dedupd.library import Library, LibraryView
    from dedupd.progress_bars import Progress


def add(commands: Commands) -> None:
    """The options of `dedupd models`."""
    parser = add_command(
        commands,
        "models",
        run,
        help="which embedding models there are; choose one, fetch one",
        example="dedupd models use open_clip:ViT-B-32/laion2b_s34b_b79k\n"
        "  dedupd models export lite0 --triton /srv/models",
        topic="models",
    )
    parser.add_argument(
        "action", nargs="?", choices=("list", "use", "pull", "calibrate", "export"), default="list"
    )
    parser.add_argument("name", nargs="?", metavar="MODEL")
    parser.add_argument(
        "--triton",
        type=Path,
        metavar="DIR",
        help="`export`: write the model as ONNX into this model repository of Triton, once it sees as it does here",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="`use`: look with it and say what would change, but do not switch",
    )
    parser.add_argument("--yes", action="store_true", help="`use`: switch without asking")
    parser.add_argument(
        "--timeout",
        type=parse_positive,
        default=1800,
        metavar="SECONDS",
        help="give up pulling after this long",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises UsageError when `use` or `pull` names no model."""
    if arguments.action == "list":
        return _list(arguments)
    if arguments.action == "calibrate":
        return _calibrate(arguments)
    if arguments.action == "export":
        return _export(arguments)
    if not arguments.name:
        raise UsageError(
            f"which model? as in `dedupd models {arguments.action} open_clip:ViT-B-32/laion2b_s34b_b79k`"
        )
    return _use(arguments) if arguments.action == "use" else _pull(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from dedupd.adapters.vision.embedders.registry import list_models
    from dedupd.library import LibraryView

    settings, places = opened(arguments)
    rows = [
        {
            "name": listing.model.id or "hashes", "available": listing.available, "calibrated": listing.model.calibrated,
            "in_use": False, "note": listing.note,
        }
        for listing in list_models()
    ]  # fmt: skip
    chosen = ""
    try:
        with closing(LibraryView(settings, places)) as view:
            chosen = view.ledger.get("embedder")
            _add_own(rows, view, chosen)
    except NothingYet:
        pass
    if arguments.json:
        answer_json(rows)
        return int(ExitCode.OK)
    for row in rows:
        mark = "*" if row["in_use"] else " "
        state = "here" if row["available"] else "not here"
        answer(
            f"{mark} {row['name']:<46} {state:<9} {'calibrated' if row['calibrated'] else 'proposes only'}  {row['note']}"
        )
    if not chosen:
        answer("none is in use yet: the first scan chooses, and only `dedupd models use` changes it")
    return int(ExitCode.OK)


def _add_own(rows: list[dict[str, Any]], view: LibraryView, chosen: str) -> None:
    """Add what this library has recorded: the model in use, the one in preparation, their thresholds."""
    from dedupd.pipeline.measure_thresholds import own_thresholds
    from dedupd.pipeline.shadow import IN_SHADOW

    prepared = view.ledger.get(IN_SHADOW)
    for name, note in ((chosen, "chosen with `dedupd models use`"), (prepared, "in preparation")):
        if name and name not in {row["name"] for row in rows}:
            rows.append({"name": name, "available": True, "calibrated": False, "in_use": False, "note": note})
    for row in rows:
        row["in_use"] = row["name"] == chosen
        own = own_thresholds(view.ledger, row["name"])
        row["calibrated"] = row["calibrated"] or own is not None


def _export(arguments: argparse.Namespace) -> int:
    """Write the model for a server that speaks KServe's protocol; done in a process of its own."""
    from dedupd.cli.worker_module import last_line
    from dedupd.errors import DedupdError

    if arguments.triton is None:
        raise UsageError("where to? as in `dedupd models export --triton /srv/models`")
    settings, places = opened(arguments)
    folder = arguments.triton.expanduser().absolute()
    words = [str(folder), arguments.name or settings.embedder, str(places.cache)]
    status, said = last_line("remote.triton", words, otherwise="the model could not be written")
    if status:
        raise UsageError(said) if status == ExitCode.USAGE else DedupdError(said)
    answer(f"{folder / said} is written")
    tell(
        'Serve it with Triton, and say protocol = "kserve-http" or "kserve-grpc" below [embedding] in config.toml.'
    )
    return int(ExitCode.OK)


def _pull(arguments: argparse.Namespace) -> int:
    from dedupd.adapters.vision.embedders.registry import pull
    from dedupd.core.summary import visible

    with progress_bar() as progress:
        pull(
            arguments.name,
            lambda done, total: progress("pull", done, total),
            timeout=float(arguments.timeout),
        )
    answer(f"{visible(arguments.name)} is here; choose it with `dedupd models use {visible(arguments.name)}`")
    tell("nothing changed for your library yet")
    return int(ExitCode.OK)


# --- use


def _use(arguments: argparse.Namespace) -> int:
    """Prepare the model, say what it would change, ask, switch. Returns exit code 3 when it is prepared and
    nobody could be asked."""
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.client.connection import DaemonRefused
    from dedupd.library import Library

    settings, places = opened_for_acting(arguments)
    _check_config(settings, arguments.name)
    try:
        return _use_by(_ByTheDaemon(settings, places), arguments, settings, places)
    except DaemonRefused as refusal:
        if refusal.tried:
            raise
        raise AlreadyRunning(str(refusal)) from None
    except NoDaemon:
        with lock_library(places, settings.roots) as locks, Library(settings, places, locks=locks) as library:
            library.recover()
            return _use_by(_ByThisProcess(library), arguments, settings, places)


def _check_config(settings: Settings, name: str) -> None:
    if settings.embedder not in ("auto", name):
        raise UsageError(
            f'{settings.source or "config.toml"} says embedder = "{settings.embedder}": '
            'set it to "auto" there, then choose again'
        )


def _use_by(switcher: _Switcher, arguments: argparse.Namespace, settings: Settings, places: Places) -> int:
    from dedupd.cli.difference import as_json, print_difference
    from dedupd.core.summary import visible
    from dedupd.library import LibraryView
    from dedupd.pipeline.measure_thresholds import bars_in_force
    from dedupd.pipeline.shadow import in_preparation
    from dedupd.pipeline.tune import tune

    name = arguments.name
    with progress_bar() as progress:
        switcher.prepare(name, progress)
        with closing(LibraryView(settings, places)) as view:
            model, photos = in_preparation(view.ledger), view.ledger.contents.count()
            if model is None:
                answer(f"{visible(name)} is in use already")
                return int(ExitCode.OK)
            roots = [root for root in view.roots if root.online]
            found = tune(view.ledger, view.disk, roots, settings, settings, model, on_progress=progress)
            calibrated = bars_in_force(view.ledger, model).calibrated
    facts = {"model": model or "hashes", "photos": photos, **as_json(found)}
    if not arguments.json:
        print_difference(found)
    if not calibrated:
        tell(
            f"note: {visible(name)} found no thresholds on these photos: it only proposes, and no burst moves"
        )
    if not (arguments.yes or arguments.dry_run) and photos:
        arguments.yes = _asked(arguments, facts)
    switching = not arguments.dry_run and (arguments.yes or not photos)
    if switching:
        with progress_bar() as progress:
            switcher.switch(name, progress)
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
    """Ask a person whether to switch. Raises ConsentNeeded when nobody can be asked."""
    from dedupd.core.summary import visible

    if not arguments.json and can_ask():
        return says_yes("Switch?")
    if arguments.json:
        answer_json({**facts, "switched": False})
    raise ConsentNeeded(
        f"{visible(arguments.name)} is prepared and nobody could be asked: "
        "look at what would change, then run the same command with --yes"
    )


class _Switcher(Protocol):
    """Prepares another embedder and switches to it, through the running daemon or in this process."""

    def prepare(self, name: str, progress: Progress) -> None: ...

    def switch(self, name: str, progress: Progress) -> None: ...


class _ByTheDaemon:
    def __init__(self, settings: Settings, places: Places) -> None:
        self._settings, self._socket = settings, places.socket

    def prepare(self, name: str, progress: Progress) -> None:
        from dedupd.client.connection import ask
        from dedupd.protocol.requests import PrepareModel
        from dedupd.protocol.results import Preparation

        request = PrepareModel(model=name, settings=self._settings.decisive)
        while not (reached := ask(self._socket, request, Preparation, timeout=None)).ready:
            if reached.phase:
                progress(reached.phase, reached.done, reached.total)

    def switch(self, name: str, progress: Progress) -> None:
        from dedupd.client.connection import ask
        from dedupd.protocol.requests import SwitchModel
        from dedupd.protocol.results import Confirmed

        ask(self._socket, SwitchModel(model=name), Confirmed, timeout=None)


class _ByThisProcess:
    def __init__(self, library: Library) -> None:
        self._library = library

    def prepare(self, name: str, progress: Progress) -> None:
        self._library.passes.catch_up(on_progress=progress)
        self._library.models.prepare(name, on_progress=progress)

    def switch(self, name: str, progress: Progress) -> None:
        self._library.models.switch(name, on_progress=progress)


# --- calibrate


def _calibrate(arguments: argparse.Namespace) -> int:
    """Measure the thresholds of the model in use on this library."""
    from dataclasses import asdict

    from dedupd.client.connection import DaemonRefused
    from dedupd.core.thresholds import shipped

    if arguments.name:
        raise UsageError(
            f"only the model in use is calibrated: `dedupd models use {arguments.name}` calibrates that one as it comes"
        )
    settings, places = opened_for_acting(arguments)
    with progress_bar() as progress:
        try:
            found = _calibrated_by_the_daemon(places, progress)
        except DaemonRefused as refusal:
            if refusal.tried:
                raise
            raise AlreadyRunning(str(refusal)) from None
        except NoDaemon:
            found = _calibrated_here(settings, places, progress)
    if arguments.json:
        answer_json({**asdict(found), "in_force": not shipped(found.model)})
    else:
        _print_thresholds(found)
    return int(ExitCode.OK)


def _calibrated_by_the_daemon(places: Places, progress: Progress) -> OwnThresholds:
    from dedupd.client.connection import ask
    from dedupd.core.thresholds import OwnThresholds
    from dedupd.protocol.requests import Calibrate
    from dedupd.protocol.results import Preparation

    while not (reached := ask(places.socket, Calibrate(), Preparation, timeout=None)).ready:
        if reached.phase:
            progress(reached.phase, reached.done, reached.total)
    return OwnThresholds.from_json(reached.thresholds)


def _calibrated_here(settings: Settings, places: Places, progress: Progress) -> OwnThresholds:
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.library import Library

    with lock_library(places, settings.roots) as locks, Library(settings, places, locks=locks) as library:
        library.recover()
        library.passes.catch_up(on_progress=progress)
        found = library.models.calibrate(on_progress=progress)
        assert found is not None  # nobody stopped it
        library.summaries.rewrite(library.grouper.regroup(on_progress=progress))
        return found


def _print_thresholds(found: OwnThresholds) -> None:
    from dedupd.core.summary import visible
    from dedupd.core.thresholds import shipped

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
