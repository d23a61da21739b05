"""Months as one HTML page with pictures, for people and for keeping. Must never load anything from outside the page.

No script, no font or picture from elsewhere: a policy in the page itself forbids them. The only links lead to the
photos themselves, as files. File names are foreign text: made visible as in core/summary.py, then escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from urllib.parse import quote

from dedupd.core.month import Month
from dedupd.core.summary import (
    MonthSummary,
    SummaryFile,
    SummaryGroup,
    human_bytes,
    moved_line,
    proof,
    visible,
)

MARK = "<!doctype html>\n<!-- dedupd report -->\n"
"""How every page begins: a file that begins otherwise is not ours and must not be replaced."""
Look = Callable[[str, Sequence[str]], Mapping[str, bytes]]
"""look(root, paths where files lie now) -> path: its small picture (WebP or JPEG), for each file that has one."""
_AT_ONCE = 20
"""Groups whose pictures are in memory together."""

_STYLE = """
:root { color-scheme: light dark; --back: #f6f6f6; --card: #fff; --text: #202020; --dim: #666; --line: #ddd;
  --keep: #2f7a3f; --move: #8f6400; --ask: #8a5600 }
@media (prefers-color-scheme: dark) { :root { --back: #141414; --card: #1f1f1f; --text: #d8d8d8; --dim: #999;
  --line: #333; --keep: #7fc08a; --move: #e0b050; --ask: #f0c070 } }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif }
h1, p { overflow-wrap: anywhere }
section { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .2rem 1rem 1rem;
  margin: 1rem 0; content-visibility: auto; contain-intrinsic-size: auto 23rem }
h2, h3 { font-size: 1rem; overflow-wrap: anywhere } h2 { font-size: 1.4rem; margin-top: 2.5rem }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 45%), 1fr)); gap: 1rem }
figure { margin: 0; max-width: 20rem } figcaption { font-size: .85rem; overflow-wrap: anywhere }
img, .none { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: #808080;
  border-radius: .2rem }
.none { display: grid; place-items: center; color: #000 } li { overflow-wrap: anywhere }
a:focus-visible { display: block; outline: .2rem solid var(--ask); outline-offset: .2rem }
.dim { color: var(--dim) } b { font-weight: 600 }
.keep b { color: var(--keep) } .move b { color: var(--move) } .ask b { color: var(--ask) }
"""


def page(title: str, months: Iterable[MonthSummary], look: Look) -> Iterator[str]:
    """The page in pieces, so that the pictures of a large month are never in memory together."""
    yield (
        f'{MARK}<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><main>\n<h1>{_text(title)}</h1>\n"
    )
    for month in months:
        yield from _month(month, look)
    yield "</main></body></html>\n"


def _month(summary: MonthSummary, look: Look) -> Iterator[str]:
    guessed = f", {summary.guessed} of them dated only by the file's time" if summary.guessed else ""
    yield (
        f"<h2>{_text(Month.parse(summary.month).label)} in {_text(summary.root)}</h2>\n"
        f"<p>{_text(moved_line(summary.moved_files, summary.moved_groups, summary.month))} "
        f"{summary.photos} photos{guessed}; {human_bytes(summary.bytes_saved)} saved.<br>"
        f'<span class="dim">model {_text(summary.model or "none: perceptual hashes alone")}; kept by rule '
        f"'{_text(summary.keep_policy)}'; written {_text(summary.written_at)}. "
        f"Everything moved can be put back: dedupd undo --month {_text(summary.month)}. "
        "A picture opens its file, on the machine that has it.</span></p>\n"
    )
    if not summary.groups and not summary.elsewhere:
        yield "<p>No duplicates.</p>\n"
    for at in range(0, len(summary.groups), _AT_ONCE):
        groups = summary.groups[at : at + _AT_ONCE]
        pictures = look(summary.root, [where for group in groups for where in _places(group)])
        yield from (_group(summary.root, group, pictures) for group in groups)
    if summary.elsewhere:
        pictures = look(summary.root, [_where(file) for file in summary.elsewhere])
        yield "<section><h3>Kept in another month</h3>"
        yield (
            _row(_file(summary.root, file, "moved", "move", pictures) for file in summary.elsewhere)
            + "</section>\n"
        )
    if summary.skipped:
        lines = "".join(
            f"<li>{_text(path)}: {_text(why)}</li>" for path, why in sorted(summary.skipped.items())
        )
        yield f"<details><summary>{len(summary.skipped)} left alone</summary><ul>{lines}</ul></details>\n"


def _group(root: str, group: SummaryGroup, pictures: Mapping[str, bytes]) -> str:
    why = f"because it {'; '.join(group.reasons)}" if group.reasons else ""
    figures = [
        _figure("kept", "keep", group.keep, why, _shown(root, group.keep, group.keep, pictures)),
        *(_file(root, file, "moved", "move", pictures) for file in group.moved),
        *(_file(root, file, "would move", "move", pictures) for file in group.waiting),
        *(_file(root, file, "for you to look at", "ask", pictures) for file in group.review),
    ]
    return f"<section><h3>Group {group.id}: keeps {_text(group.keep)}</h3>{_row(figures)}</section>\n"


def _file(root: str, file: SummaryFile, state: str, kind: str, pictures: Mapping[str, bytes]) -> str:
    where = f" to {file.to}" if file.to else ""
    return _figure(
        state + where,
        kind,
        file.path,
        f"{human_bytes(file.bytes)}; {proof(file)}",
        _shown(root, file.path, _where(file), pictures),
    )


def _shown(root: str, name: str, where: str, pictures: Mapping[str, bytes]) -> str:
    """The picture as a link to its file, or a note that there is none."""
    picture = pictures.get(where)
    if not picture:
        return '<div class="none">no picture</div>'
    kind = "webp" if picture[8:12] == b"WEBP" else "jpeg"
    image = (
        f'<img loading="lazy" decoding="async" alt="{_text(name)}" '
        f'src="data:image/{kind};base64,{b64encode(picture).decode()}">'
    )
    try:
        return f'<a href="file://{quote(f"{root}/{where}", errors="surrogateescape")}">{image}</a>'
    except UnicodeEncodeError:  # no file system has such a name
        return image


def _figure(state: str, kind: str, name: str, words: str, shown: str) -> str:
    return (
        f'<figure class="{kind}">{shown}<figcaption><b>{_text(state)}</b> {_text(name)}<br>'
        f'<span class="dim">{_text(words)}</span></figcaption></figure>'
    )


def _row(figures: Iterable[str]) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _places(group: SummaryGroup) -> list[str]:
    return [group.keep, *(_where(file) for file in (*group.moved, *group.waiting, *group.review))]


def _where(file: SummaryFile) -> str:
    return file.to or file.path


def _text(text: str) -> str:
    return escape(visible(text))
