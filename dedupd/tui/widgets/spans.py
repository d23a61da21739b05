"""Text with tones: the only way text is written on the screen. Must never interpret markup in it."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from dedupd.reviewing.words import plain

Span = tuple[str, str]
"""(text, tone); the tones are the keys of TONES."""
Spans = list[Span]

TONES = {
    "": "",
    "dim": "$dim",
    "strong": "bold",
    "good": "$text-success",
    "warn": "$text-warning",
    "bad": "$text-error",
    "accent": "bold $text-accent",
    "title": "bold $text-primary",
    "badge-good": "bold $text-success on $success-muted",
    "badge-warn": "bold $text-warning on $warning-muted",
    "badge-bad": "bold $text-error on $error-muted",
    "key": "bold $text-accent",
}


def content(*lines: Spans) -> Content:
    """Lines of spans as styled text. All text is escaped: a name cannot break out of its line."""
    parts: list[Content | str | tuple[str, str]] = []
    for index, line in enumerate(lines):
        if index:
            parts.append("\n")
        parts.extend((plain(text), TONES[tone]) if tone else plain(text) for text, tone in line)
    return Content.assemble(*parts)


class Words(Static):
    """A few lines of spans. Setting the same text again costs nothing."""

    _said: tuple[Spans, ...] | None = None

    def say(self, *lines: Spans) -> None:
        if lines == self._said:
            return
        self._said = lines
        fixed = not (self.styles.is_auto_height or self.styles.is_auto_width)
        self.update(content(*lines), layout=not fixed)
