"""`dedupd status`: what the daemon does, and what waits for a person."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import ExitCode, NothingYet

if TYPE_CHECKING:
    from dedupd.protocol.views import StatusView


def add(commands: Commands) -> None:
    """The options of `dedupd status`."""
    parser = add_command(
        commands,
        "status",
        run,
        help="what the daemon is doing, and what waits for you",
        example="dedupd status --json",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 0 with a daemon, 5 without one; the status is printed in both cases."""
    import msgspec

    from dedupd.cli.asking import asked
    from dedupd.protocol.requests import GetStatus
    from dedupd.protocol.views import StatusView

    settings, places = opened(arguments)
    try:
        view = asked(settings, places, GetStatus(), StatusView, lambda state: state.status())
    except NothingYet:
        view = StatusView(daemon="stopped", roots=[str(r) for r in settings.roots])
    if arguments.json:
        answer_json(msgspec.to_builtins(view))
    else:
        _print(view)
    return int(ExitCode.OK if view.daemon != "stopped" else ExitCode.NO_DAEMON)


def _print(view: StatusView) -> None:
    from dedupd.core.politeness import clock_time
    from dedupd.core.summary import human_bytes, visible

    now = "paused" if view.paused else "busy" if view.busy else "waiting" if view.waits else "watching"
    if view.paused and view.paused_until:
        now += f" until {clock_time(view.paused_until, time.time())}"
    answer(
        f"daemon     {view.daemon}{f', {now}' if view.daemon == 'running' else ' (start it with `dedupd run`)'}"
    )
    if view.progress is not None:
        left = f", about {view.progress.eta:.0f} s left" if view.progress.eta else ""
        answer(
            f"now        {view.progress.phase}: {view.progress.done} of {view.progress.total or '?'} ({view.progress.rate:.0f}/s{left})"
        )
    elif view.works_off_look_alikes:
        answer(
            f"idle       works off families of look-alikes: {view.look_alikes_left} photo(s) left; nothing waits for it"
        )
    if view.waits:
        answer(f"waits      {view.waits}")
    for root in view.root_details:
        state = "" if root.online else "  OFFLINE"
        answer(
            f"folder     {visible(root.path)}  {root.photos} photos{state}{'' if root.consented else '  (no first yes yet)'}"
        )
    alone = f", {view.undecoded} videos and other files known by their bytes alone" if view.undecoded else ""
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
    # Before anything was looked at, none is chosen.
    without = "none: perceptual hashes alone" if view.root_details else "chosen at the first run"
    answer(f"model      {view.model or without}")
    if view.embedding:
        answer(f"embedding  {view.embedding}")
    if view.next_run:
        answer(f"next run   {time.strftime('%H:%M:%S', time.localtime(view.next_run))}")
    for sentence in view.attention:
        answer(f"attention  {visible(sentence)}")
