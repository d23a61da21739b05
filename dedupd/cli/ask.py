"""status, months, groups, show: asked of the running daemon, or read from the state when none runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.client.connection import DaemonRefused, ask
from dedupd.config import Places, Settings
from dedupd.core.month import Month
from dedupd.core.summary import human_bytes, visible
from dedupd.errors import DedupdError, ExitCode, NoDaemon, StateError
from dedupd.library import LibraryView
from dedupd.protocol.requests import GetGroup, GetMonths, GetStatus, Request
from dedupd.protocol.results import MonthsPage
from dedupd.protocol.views import GroupDetail, GroupView, MonthView, PhotoView, StatusView

R = TypeVar("R", bound=msgspec.Struct)
QUICK_SECONDS = 10.0


def _asked(
    settings: Settings, places: Places, request: Request, kind: type[R], read: Callable[[LibraryView], R]
) -> R:
    """The daemon's answer, else the state's."""
    try:
        return ask(places.socket, request, kind, timeout=QUICK_SECONDS)
    except NoDaemon:
        with closing(LibraryView(settings, places)) as view:
            return read(view)


def report_of(settings: Settings, places: Places) -> dict[str, Any]:
    """The JSON report of the state as it is."""
    with closing(LibraryView(settings, places)) as view:
        return view.report()


def status(arguments: argparse.Namespace) -> int:
    """Exit 0 with a daemon, 5 without one (it prints all the same)."""
    settings, places = opened(arguments)
    try:
        view = _asked(settings, places, GetStatus(), StatusView, lambda state: state.status())
    except StateError:
        view = StatusView(daemon="stopped", roots=[str(r) for r in settings.roots])
    if arguments.json:
        answer_json(msgspec.to_builtins(view))
    else:
        _print_status(view)
    return int(ExitCode.OK if view.daemon != "stopped" else ExitCode.NO_DAEMON)


def _print_status(view: StatusView) -> None:
    now = "paused" if view.paused else "busy" if view.busy else "watching"
    answer(
        f"daemon     {view.daemon}{f', {now}' if view.daemon == 'running' else ' (start it with `dedupd run`)'}"
    )
    if view.progress is not None:
        left = f", about {view.progress.eta:.0f} s left" if view.progress.eta else ""
        answer(
            f"now        {view.progress.phase}: {view.progress.done} of {view.progress.total or '?'} ({view.progress.rate:.0f}/s{left})"
        )
    for root in view.root_details:
        state = "" if root.online else "  OFFLINE"
        answer(
            f"folder     {visible(root.path)}  {root.photos} photos{state}{'' if root.consented else '  (no first yes yet)'}"
        )
    alone = f", {view.undecoded} videos and raw files known by their bytes alone" if view.undecoded else ""
    answer(f"photos     {view.photos}{alone}, {view.skipped} left alone")
    if view.not_looked_at:
        answer(f"closed     {view.not_looked_at}")
    answer(
        f"waiting    {view.groups_waiting} group(s) for you, {view.months_waiting} month(s) for the next clustering"
    )
    if view.waiting_to_move:
        answer(
            f"ready      {view.waiting_to_move} file(s), {human_bytes(view.bytes_to_move)}, would move: `dedupd groups`, then `dedupd approve --all`"
        )
    answer(f"moved      {view.moved} file(s), {human_bytes(view.bytes_saved)} saved")
    answer(f"model      {view.model or 'none: perceptual hashes alone'}")
    if view.next_run:
        answer(f"next run   {time.strftime('%H:%M:%S', time.localtime(view.next_run))}")
    for sentence in view.attention:
        answer(f"attention  {visible(sentence)}")


def months(arguments: argparse.Namespace) -> int:
    settings, places = opened(arguments)
    found: list[MonthView] = []
    offset: int | None = 0
    while offset is not None:

        def rest(state: LibraryView, offset: int = offset) -> MonthsPage:
            return MonthsPage(months=state.reviewer.months()[offset:])

        page = _asked(settings, places, GetMonths(offset=offset), MonthsPage, rest)
        found += page.months
        offset = page.next_offset
    if arguments.json:
        answer_json([msgspec.to_builtins(m) for m in found])
        return int(ExitCode.OK)
    answer(f"{'month':<9}{'photos':>8}{'groups':>8}{'waiting':>9}{'moved':>7}{'saved':>11}")
    for month in found:
        answer(_month_line(month))
    return int(ExitCode.OK)


def _month_line(month: MonthView) -> str:
    marks = ("  changed" if month.changed else "") + (
        f"  {month.guessed} dated by file time only" if month.guessed else ""
    )
    return (
        f"{Month.parse(month.month).label:<9}{month.photos:>8}{month.groups:>8}{month.waiting:>9}{month.moved:>7}"
        f"{human_bytes(month.bytes_saved):>11}{marks}"
    )


def groups(arguments: argparse.Namespace) -> int:
    """With --json the report of DESIGN section 5, of one month if asked."""
    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        if arguments.held_better:
            return _held_better(view, as_json=arguments.json)
        if arguments.json:
            answer_json(view.report(arguments.month))
            return int(ExitCode.OK)
        found = view.reviewer.report(view.group_rows(month=arguments.month)[0])
    for group in found:
        _print_group(group)
    if not found:
        answer("no duplicates" + (f" in {Month.parse(arguments.month).label}" if arguments.month else ""))
    return int(ExitCode.OK)


def _held_better(view: LibraryView, *, as_json: bool) -> int:
    """What an older dedupd moved beside a lesser photo, and what each of the two holds."""
    found = view.ledger.held_checks.better()
    if as_json:
        answer_json([asdict(better) for better in found])
        return int(ExitCode.OK)
    for better in found:
        answer(f"group {better.group}  {visible(better.held)}  kept: {visible(better.keeper)}")
        answer(f"    it {'; it '.join(better.only_here)}")
        if better.only_in_keeper:
            answer(f"    the kept one {'; it '.join(better.only_in_keeper)}")
    if not found:
        answer("nothing in duplicates/ holds more than the photo that stayed")
    return int(ExitCode.OK)


def _print_group(group: GroupView) -> None:
    answer(
        f"group {group.id}  {Month.parse(group.month).label}  {group.relation}  {group.state}  keeps {visible(group.keep)}"
    )
    for path in group.duplicates:
        answer(
            f"    {'moved ' if path in group.moved_to else 'moves '} {visible(path)}  {_evidence(group, path)}"
        )
    for path in group.review:
        answer(f"    review {visible(path)}  {_evidence(group, path)}")
    if group.left_out:
        answer(f"    and {group.left_out} more: `dedupd groups` lists them all")


def _evidence(group: GroupView, path: str) -> str:
    proof = group.evidence.get(path)
    if proof is None:
        return ""
    confidence = f", {100 * proof.confidence:.0f} % sure" if proof.confidence is not None else ""
    return f"({proof.relation}: {group.why.get(path) or 'proven'}{confidence})"


def show(arguments: argparse.Namespace) -> int:
    settings, places = opened(arguments)
    id = arguments.group

    def read(view: LibraryView) -> GroupDetail:
        row = view.ledger.judgement.group(id)
        detail = None if row is None else view.reviewer.detail(row)
        if detail is None:
            raise DedupdError(f"there is no group {id}: `dedupd groups` lists them")
        return detail

    try:
        found = _asked(settings, places, GetGroup(id=id), GroupDetail, read)
    except DaemonRefused as refusal:
        raise DedupdError(f"{refusal}: `dedupd groups` lists them") from None
    if arguments.json:
        answer_json(msgspec.to_builtins(found))
        return int(ExitCode.OK)
    _print_group(found.group)
    if found.group.reasons:
        answer("kept because: " + "; ".join(found.group.reasons))
    for photo in found.photos:
        answer(_photo_line(photo))
    for path, proof in found.group.evidence.items():
        if proof.only_here:
            answer(
                f"moving {visible(path)} would put out of sight what only it has: it {'; it '.join(proof.only_here)}"
            )
    return int(ExitCode.OK)


def _photo_line(photo: PhotoView) -> str:
    facts = [
        f"{photo.width}x{photo.height}" if photo.width else "",
        photo.format,
        human_bytes(photo.size),
        photo.camera.replace("|", " ").strip(),
    ]
    if photo.jpeg_quality:
        facts.append(f"quality {photo.jpeg_quality:.0f}")
    facts += photo.holds
    return f"  {photo.role:<9} {visible(photo.where)}  " + ", ".join(f for f in facts if f)
