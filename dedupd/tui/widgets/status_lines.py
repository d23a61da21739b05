"""The first screen's lines about the daemon and the library: banner, panel, activity, and the text shown
before any month.

Must never ask the daemon; it shows the review state it is given.
"""

from __future__ import annotations

from dedupd.reviewing.words import bar, news, number, plain, plural, progress, resting, size, when
from dedupd.tui.model.review_state import ReviewState
from dedupd.tui.widgets.spans import Spans, Words

_SENTENCES = 3
"""Lines for what needs attention."""


class Banner(Words):
    """What needs the person's action; hidden when nothing does."""

    def show(self, state: ReviewState, *, can_start: bool) -> None:
        lines = _asks(state) if state.online else _offline(state, can_start=can_start)
        self.display = bool(lines)
        self.set_class(not state.online, "offline")
        self.say(*lines)


class ActivityLine(Words):
    """What the daemon does now, or what it did last and will do next."""

    def show(self, state: ReviewState, now: float) -> None:
        status = state.status
        if not state.online:
            self.say([("reconnecting by itself", "dim")])
        elif state.under_way:
            self.say([("on its way: ", "accent"), (state.under_way, "")])
        elif (doing := state.progress) is not None:
            share = doing.done / doing.total if doing.total else 0.0
            width = min(40, max(10, self.screen.size.width - 60))
            self.say([(bar(share, width), "accent"), (" ", ""), (progress(doing), "")])
        else:
            plan = f" · last run {when(status.last_run, now)} · next run {when(status.next_run, now)}"
            self.say([(resting(status, now), "dim"), ("" if status.waits else plan, "dim")])


class LibraryPanel(Words):
    """The totals of the library, its roots, the model and the schedule."""

    def show(self, state: ReviewState, now: float) -> None:
        status = state.status
        lines: list[Spans] = [
            [("Library", "title")],
            [(number(status.photos), "strong"), (" photos", "dim")],
            [(number(status.groups_waiting), "warn"), (" groups wait", "dim")],
            [(number(status.moved), "strong"), (" files moved", "dim")],
            [(size(status.bytes_saved), "good"), (" saved", "dim")],
            [],
        ]
        if status.skipped:
            lines.insert(2, [(number(status.skipped), ""), (" files left alone", "dim")])
        for root in status.root_details:
            sign = ("● ", "good") if root.online else ("○ ", "bad")
            lines.append([sign, (plain(root.path), "")])
            state_of_root = "moves by itself" if root.consented else "waits for your first yes"
            words = root.note or (state_of_root if root.online else "not there right now")
            lines.append([("  ", ""), (words, "dim")])
        lines += [
            [],
            [("Model ", "dim"), (status.model or "hashes alone", "")],
            [("Last run ", "dim"), (when(status.last_run, now), "")],
            [("Next run ", "dim"), (when(status.next_run, now), "")],
        ]
        self.say(*lines)


def nothing_yet(state: ReviewState, *, can_start: bool) -> list[Spans]:
    """The text shown instead of months when there are none."""
    if not state.online:
        start: Spans = [("Press ", ""), ("s", "key"), (" to start one; ", ""), ("q", "key"), (" quits.", "")]
        return [
            [("No daemon runs", "title")],
            [],
            [(state.why_offline or "connecting …", "dim")],
            *([[(state.not_started, "bad")]] if state.not_started else []),
            [],
            start if can_start else [("Start one with: dedupd run", "")],
            [("This window connects by itself as soon as one answers.", "dim")],
        ]
    if not state.status.roots:
        return [[("No folder is watched yet", "title")], [], [("Name one: dedupd run ~/Pictures", "")]]
    return [
        [("No photos are known yet", "title")],
        [],
        [("The months appear here as they are indexed.", "dim")],
    ]


def _offline(state: ReviewState, *, can_start: bool) -> list[Spans]:
    if not state.months:
        return []
    start: Spans = [("  Press ", ""), ("s", "key"), (" to start one.", "")] if can_start else []
    why: list[Spans] = [[(" ! ", "badge-bad"), (f" {state.not_started}", "")]] if state.not_started else []
    return [[("No daemon answers. ", "badge-bad"), (" This is what was last known.", ""), *start], *why]


def _asks(state: ReviewState) -> list[Spans]:
    status = state.status
    lines: list[Spans] = []
    if status.waiting_to_move:
        files = plural(status.waiting_to_move, "file")
        first = not state.consented
        why = "nothing moves before your yes" if first else "more at once than usual, so dedupd asks"
        is_are = "is" if status.waiting_to_move == 1 else "are"
        lines.append(
            [
                (f" {files} {is_are} ready to move ", "badge-warn"),
                (f" {why}: press ", ""),
                ("A", "key"),
                (" to approve all proposed", ""),
            ]
        )
    if status.held_changed:
        moved = plural(status.held_changed, "moved photo")
        lines.append(
            [
                (f" {moved} may show what the photo that stayed does not ", "badge-warn"),
                (" press ", ""),
                ("b", "key"),
                (" to bring them back", ""),
            ]
        )
    if status.held_better:
        moved = plural(status.held_better, "moved file")
        lines.append(
            [
                (f" {moved} hold more than the photo that stayed ", "badge-warn"),
                (" press ", ""),
                ("x", "key"),
                (" to exchange them", ""),
            ]
        )
    attention = news(status.attention)
    lines += [[(" ! ", "badge-bad"), (f" {sentence}", "")] for sentence in attention[:_SENTENCES]]
    if len(attention) > _SENTENCES:
        lines.append([(f"   and {len(attention) - _SENTENCES} more in the log (l)", "dim")])
    return lines
