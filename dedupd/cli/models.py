"""`dedupd models`: list embedders, choose one, fetch one."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from dedupd.adapters.vision.embedders.registry import list_models, pull
from dedupd.cli.calibrate import calibrate
from dedupd.cli.console import answer, answer_json, progress_bar, tell
from dedupd.cli.opening import opened
from dedupd.cli.use_model import use
from dedupd.core.summary import visible
from dedupd.errors import ExitCode, StateError, UsageError
from dedupd.library import LibraryView
from dedupd.pipeline.measure_thresholds import own_thresholds
from dedupd.pipeline.shadow import IN_SHADOW


def models(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        return _list(arguments)
    if arguments.action == "calibrate":
        return calibrate(arguments)
    if not arguments.name:
        raise UsageError(
            f"which model? as in `dedupd models {arguments.action} open_clip:ViT-B-32/laion2b_s34b_b79k`"
        )
    return use(arguments) if arguments.action == "use" else _pull(arguments)


def _list(arguments: argparse.Namespace) -> int:
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
    except StateError:
        pass  # nothing was seen yet
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
    """What this library itself says of the models: the one in use, the one in preparation, their thresholds."""
    prepared = view.ledger.get(IN_SHADOW)
    for name, note in ((chosen, "chosen with `dedupd models use`"), (prepared, "in preparation")):
        if name and name not in {row["name"] for row in rows}:
            rows.append({"name": name, "available": True, "calibrated": False, "in_use": False, "note": note})
    for row in rows:
        row["in_use"] = row["name"] == chosen
        own = own_thresholds(view.ledger, row["name"])
        row["calibrated"] = row["calibrated"] or own is not None


def _pull(arguments: argparse.Namespace) -> int:
    with progress_bar() as progress:
        pull(
            arguments.name,
            lambda done, total: progress("pull", done, total),
            timeout=float(arguments.timeout),
        )
    answer(f"{visible(arguments.name)} is here; choose it with `dedupd models use {visible(arguments.name)}`")
    tell("nothing changed for your library yet")
    return int(ExitCode.OK)
