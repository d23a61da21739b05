"""`dedupd show`: one group, its photos, and why they belong together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import DedupdError, ExitCode

if TYPE_CHECKING:
    from dedupd.library import LibraryView
    from dedupd.protocol.views import GroupDetail, PhotoView


def add(commands: Commands) -> None:
    """The options of `dedupd show`."""
    parser = add_command(
        commands,
        "show",
        run,
        help="one group with its pictures and evidence",
        example="dedupd show 12",
        topic="deciding",
    )
    parser.add_argument("group", type=int, metavar="GROUP")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when there is no such group."""
    import msgspec

    from dedupd.cli.asking import asked
    from dedupd.client.connection import DaemonRefused
    from dedupd.protocol.requests import GetGroup
    from dedupd.protocol.views import GroupDetail

    settings, places = opened(arguments)
    id = arguments.group

    def read(view: LibraryView) -> GroupDetail:
        row = view.ledger.groups.get(id)
        detail = None if row is None else view.reviewer.detail(row)
        if detail is None:
            raise DedupdError(f"there is no group {id}: `dedupd groups` lists them")
        return detail

    try:
        found = asked(settings, places, GetGroup(id=id), GroupDetail, read)
    except DaemonRefused as refusal:
        raise DedupdError(f"{refusal}: `dedupd groups` lists them") from None
    if arguments.json:
        answer_json(msgspec.to_builtins(found))
    else:
        _print(found)
    return int(ExitCode.OK)


def _print(found: GroupDetail) -> None:
    from dedupd.cli.group_lines import print_group
    from dedupd.core.summary import visible

    print_group(found.group)
    if found.group.reasons:
        answer("kept because: " + "; ".join(found.group.reasons))
    for photo in found.photos:
        answer(_photo_line(photo))
    for path, proof in found.group.evidence.items():
        if proof.only_here:
            answer(
                f"moving {visible(path)} would put out of sight what only it has: it {'; it '.join(proof.only_here)}"
            )


def _photo_line(photo: PhotoView) -> str:
    from dedupd.core.summary import human_bytes, visible

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
