"""The lines below the compared pictures: the reasons, what would be lost from sight, and what `a` does. Must
never change a mark."""

from __future__ import annotations

from dedupd.protocol.views import GroupView
from dedupd.reviewing.facts import loss_warning, would_change
from dedupd.reviewing.listing import waits
from dedupd.reviewing.words import STATES, evidence, name_of, size
from dedupd.tui.model.decisions import DecisionDraft, Mark
from dedupd.tui.widgets.spans import Spans

GONE = "This group is gone: its pictures were grouped otherwise. j shows the next, Esc the list."


def reason_lines(draft: DecisionDraft, looked_at: int, *, brief: bool) -> list[Spans]:
    """Why the keeper stays, and why the picture in focus (a file id) belongs to it. brief: for narrow screens."""
    group, photo, keeper = draft.group, draft.photos[looked_at], draft.photos[draft.keeper]
    lines: list[Spans] = []
    reasons = group.reasons if keeper.path == group.keep else ["you chose it"]
    if reasons:
        lines.append([("Keeper because: ", "good"), ("; ".join(reasons), "")])
    if photo.file != draft.keeper:
        # The reasons for the proposed keeper do not hold for another one.
        said = group.why.get(photo.path, "") if keeper.path == group.keep else ""
        why = [said, would_change(group, photo, draft.lost(photo.file))]
        lines.append([(f"{name_of(photo.path)}: ", "strong"), (" — ".join(w for w in why if w), "accent")])
        # Last, because the last line is cut first: a reason is worth more than its figures.
        proof = evidence(group.evidence.get(photo.path), brief=brief)
        lines.append([(" · ".join(proof) or "no evidence is recorded", "dim")])
    return lines


def loss_line(draft: DecisionDraft, known: GroupView, *, acting: bool, width: int) -> Spans:
    """What `a` would hide that no keeper has. known: the group as it is now; acting: whether it is being
    changed now."""
    idle = acting or (draft.untouched and not waits(known))
    return [("" if idle else loss_warning(draft.losses(), width), "warn")]


def summary_line(draft: DecisionDraft, known: GroupView, *, acting: bool) -> Spans:
    """What `a` would do, or that nothing is left to do."""
    if acting:
        return [(" … ", "badge-warn"), (" on its way", "dim")]
    if is_settled(draft, known):
        done = f" {STATES.get(known.state, known.state)} "
        return [(done, "badge-good"), (" settled; j shows the next, u undoes", "dim")]
    moving = sum(photo.size for file, photo in draft.photos.items() if draft.mark(file) is Mark.MOVE)
    return [(" a ", "badge-good"), (f" {draft.summary()}", ""), (f" · frees {size(moving)}", "good")]


def is_settled(draft: DecisionDraft, known: GroupView) -> bool:
    """The group waits for nobody, and no mark was changed."""
    return draft.untouched and not waits(known)
