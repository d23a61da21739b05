"""Prints a group, for `dedupd groups` and `dedupd show`."""

from __future__ import annotations

from dedupd.cli.console import answer
from dedupd.core.month import Month
from dedupd.core.summary import visible
from dedupd.protocol.views import GroupView


def print_group(group: GroupView) -> None:
    """Print the group, and a line with its evidence for each file that moves or waits."""
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
    told = proof.confidence_told
    confidence = f", {100 * told:.0f} % sure" if told is not None else ""
    return f"({proof.relation}: {group.why.get(path) or 'proven'}{confidence})"
