"""The questions before large actions: what an action would do, in counts and bytes. Must never act; the
screen acts on the answer."""

from __future__ import annotations

from collections.abc import Sequence

from dedupd.protocol.views import GroupView, MoveView, StatusView
from dedupd.reviewing.listing import PREDECIDED, lost_kinds, members, tally, weight
from dedupd.reviewing.words import RELATION_NAMES, group_title, number, plural, size
from dedupd.tui.screens.confirm import Confirm
from dedupd.tui.widgets.spans import Spans

_KINDS = 4
"""Lines for what the keepers lack, at most."""
_ROOTS = 4
"""Roots that are named, at most."""


def approve_all(status: StatusView) -> Confirm:
    """The question before all proposals of the library are approved."""
    roots = [root for root in status.root_details if not root.consented]
    lines: list[Spans] = [
        [
            (plural(status.waiting_to_move, "file"), "strong"),
            (" move into duplicates/ folders beside their months", ""),
        ],
        [
            (size(status.bytes_to_move), "strong"),
            (" are freed there once you empty those folders yourself", ""),
        ],
        [],
        [("Each has a keeper that stays, read and compared again at the move.", "")],
        [("Nothing is deleted. u takes all of it back.", "")],
    ]
    if roots:
        lines.append([("From then on dedupd moves proven duplicates by itself in:", "dim")])
        lines += [[("  " + root.path, "dim")] for root in roots[:_ROOTS]]
    return Confirm("Approve all that is proposed?", *lines, yes="Move them")


def exchange(count: int) -> Confirm:
    """The question before `count` moved files that hold more than their keepers are exchanged with them."""
    lines: list[Spans] = [
        [(plural(count, "file"), "strong"), (" in duplicates/ hold more than the photo that stayed: ", "")],
        [("colours, pixels, a film … An older dedupd moved them.", "")],
        [],
        [("They come back, and what holds less moves aside instead.", "")],
        [("Where each of two holds something, both stay and wait for you. Nothing is deleted.", "dim")],
    ]
    return Confirm("Exchange them?", *lines, yes="Exchange")


def bring_back(count: int) -> Confirm:
    """The question before `count` moved photos in which something was changed are put back."""
    lines: list[Spans] = [
        [(plural(count, "photo"), "strong"), (" in duplicates/ would not move today: something small", "")],
        [("was changed in its place between the shot and the one that stayed.", "")],
        [],
        [("They come back beside it, and are not moved again unless you approve them.", "")],
        [("`dedupd groups --held-changed` lists them, to look at each first.", "dim")],
    ]
    return Confirm("Bring them back?", *lines, yes="Bring back")


def approve_listed(groups: Sequence[GroupView]) -> Confirm:
    """The question before all listed groups are approved. The person must type a word when not all of them
    are proven copies."""
    unproven = sum(1 for group in groups if group.relation not in PREDECIDED)
    files, freed = sum(members(g) for g in groups), sum(weight(g) for g in groups)
    kinds = [
        f"{count} {RELATION_NAMES.get(relation, relation)}"
        for relation, count in tally(groups, settled=False).items()
        if count
    ]
    # Few lines: all of them and the answer must be visible at once.
    lines: list[Spans] = [
        [
            (plural(len(groups), "group"), "strong"),
            (": ", ""),
            (f"{plural(files, 'file')}, {size(freed)}", "strong"),
            (" move into duplicates/", ""),
        ],
        [("  " + ", ".join(kinds), "dim")],
    ]
    if unproven:
        lines.append(
            [
                (f"{unproven} of them are not proven copies. ", "bad"),
                ("They look alike; only you can tell.", ""),
            ]
        )
    lines += [*_losses(groups), [], [("u takes all of it back.", "dim")]]
    return Confirm("Approve all that is listed?", *lines, yes="Move them", word="approve" if unproven else "")


def reject_group(group: GroupView) -> Confirm:
    """The question before a whole group is declared not duplicates; the person must type a word."""
    lines: list[Spans] = [
        [(group_title(group), "strong")],
        [("None of its pictures are duplicates of each other, for ever, wherever they are moved.", "")],
    ]
    if group.moved_to:
        lines.append([(plural(len(group.moved_to), "moved file"), "strong"), (" come back", "")])
    return Confirm("Reject the whole group?", *lines, yes="Reject", word="reject")


def undo_moves(moves: Sequence[MoveView], what: str) -> Confirm:
    """The question before several moves are undone. what: which moves, in words."""
    bytes_ = sum(move.size for move in moves)
    lines: list[Spans] = [
        [(plural(len(moves), "file"), "strong"), (f", {size(bytes_)}, come back.", "")],
        [("They are not moved again unless you approve them.", "dim")],
    ]
    return Confirm(f"Put back {what}?", *lines, yes="Put back")


def _losses(groups: Sequence[GroupView]) -> list[Spans]:
    """In how many groups a moved picture holds something that the keeper lacks, and what: the most frequent
    kind first."""
    lossy, kinds = lost_kinds(groups)
    if not lossy:
        return []
    head = f"{plural(lossy, 'group')} would put out of sight what the keeper lacks:"
    lines: list[Spans] = [[(head, "warn")]]
    shown = kinds.most_common(_KINDS if len(kinds) <= _KINDS else _KINDS - 1)
    lines += [[(f"  {number(count):>5} ", "strong"), (kind, "warn")] for kind, count in shown]
    if more := len(kinds) - len(shown):
        lines.append([(f"        and {plural(more, 'other kind')}; e lists one class alone", "dim")])
    return lines
