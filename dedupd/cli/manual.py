"""The manual: texts longer than a line of `--help`, one Markdown file for each topic in `dedupd/manual/`.

README links to the same files. Owns how they are found and shown; must never contain text of the manual
itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

TOPICS = (
    "scanning", "reviewing", "undo", "deciding", "formats", "configuration", "service", "web", "models", "remote",
    "archives", "photos", "socket",
)  # fmt: skip
"""The topics in the order of the manual page; each is the name of a file."""


def topic(name: str) -> str:
    """The Markdown of one topic of TOPICS."""
    return (files("dedupd") / "manual" / f"{name}.md").read_text("utf-8")


def printed(name: str, width: int) -> str:
    """One topic, formatted for a terminal of `width` columns, with its escape sequences."""
    from io import StringIO

    from rich.console import Console
    from rich.markdown import Markdown

    paper = StringIO()
    Console(file=paper, width=width, force_terminal=True).print(Markdown(topic(name)))
    return paper.getvalue()


def as_roff(name: str) -> list[str]:
    """One topic as lines in the man macros of roff: its title a section, its headings subsections."""
    from markdown_it import MarkdownIt

    return list(_roff(MarkdownIt("commonmark").enable("table").parse(topic(name))))


def escaped(text: str) -> str:
    """Text escaped for roff: no line begins a macro, a minus can be copied, and everything is ASCII."""
    lines = text.replace("\\", r"\e").replace("-", r"\-").splitlines() or [""]
    safe = (r"\&" + line if line[:1] in ".'" else line for line in lines)
    return "".join(sign if sign.isascii() else rf"\[u{ord(sign):04X}]" for sign in "\n".join(safe))


def _roff(tokens: Sequence[Token]) -> Iterator[str]:
    row: list[str] = []
    macro = ".PP"
    for token in tokens:
        if token.type == "heading_open":
            macro = ".SH" if token.tag == "h1" else ".SS"
        elif token.type == "inline" and macro in {".SH", ".SS"}:
            yield f"{macro} {escaped(_plain(token))}"
            macro = ".PP"
        elif token.type in {"fence", "code_block"}:
            yield from (".PP", ".nf", ".RS 4", escaped(token.content.rstrip("\n")), ".RE", ".fi")
        elif token.type == "tr_open":
            row = []
            macro = ""
        elif token.type == "tr_close":
            # Each cell after the first becomes a paragraph: there is no room for columns as wide as their
            # words.
            yield from (".TP", rf"\fB{row[0]}\fR", "\n.br\n".join(row[1:]))
            macro = ".PP"
        elif token.type == "inline" and not macro:
            row.append(escaped(_plain(token)))
        elif token.type == "inline":
            yield from (macro, escaped(_plain(token)))


def _plain(token: Token) -> str:
    """The words of a paragraph, without Markdown's markup."""
    return "".join("\n" if part.type == "softbreak" else part.content for part in token.children or ())
