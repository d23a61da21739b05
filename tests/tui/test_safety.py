"""What must hold whatever the library holds: no escape gets out, nothing heavy comes in, any size, any length."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from dedupd.protocol.views import PhotoView
from dedupd.tui.screens.groups import GroupsScreen
from tests.fakes.daemon import FakeDaemon
from tests.tui.conftest import Reviewing

NASTY = "2024/06/a\nb\x1b[31m\x1b]0;owned\x07\u202egpj.\x9b2Jexe [bold red]x[/bold red] \udcff\udcfe.jpg"
HEAVY = ("torch", "numpy", "lancedb", "pyarrow", "PIL", "textual_image", "cv2")


def rename(fake: FakeDaemon) -> None:
    """Every file of the library gets a name that attacks the terminal."""
    for id, group in fake.groups.items():
        photos: list[PhotoView] = fake.photos[id]
        new = {photo.path: f"{NASTY}{photo.file}" for photo in photos}
        group.keep = new[group.keep]
        group.duplicates = [new[p] for p in group.duplicates]
        group.review = [new[p] for p in group.review]
        group.evidence = {new[p]: e for p, e in group.evidence.items()}
        group.why = {new[p]: NASTY for p in group.why}
        group.reasons = [NASTY]
        for photo in photos:
            photo.path, photo.where = new[photo.path], f"/r/{new[photo.path]}"
            photo.software = photo.camera = photo.format = NASTY
            photo.companions = [NASTY]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_no_name_gets_out_of_its_line_on_any_screen(
    reviewing: Reviewing, size: tuple[int, int]
) -> None:
    async with reviewing(groups=8, size=size, prepare=rename) as review:
        fake = review.fake
        fake.roots[0].path = fake.roots[0].note = NASTY
        fake.attention = [NASTY]
        for keys in (
            ["A", "escape"],
            ["enter"],
            ["enter"],
            ["k", "space", "f"],
            ["escape", "a"],
            ["h", "v"],
            ["escape", "l"],
        ):
            await review.press(*keys)
            await review.settled()
            for line in review.text().splitlines():
                bad = [
                    c
                    for c in line
                    if ord(c) < 32
                    or 0x7F <= ord(c) < 0xA0
                    or c in "\u202e\u2028"
                    or 0xD800 <= ord(c) < 0xE000
                ]
                assert not bad, (keys, bad, line)
        assert fake.moves, "and it still works"


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (240, 70)])
@pytest.mark.parametrize("light", [False, True])
async def test_every_screen_paints_at_every_size_light_and_dark(
    reviewing: Reviewing, size: tuple[int, int], light: bool
) -> None:
    async with reviewing(groups=8, size=size, months=2) as review:
        if light:
            await review.press("T")
            assert review.app.current_theme.dark is False
        for keys, words in (
            (["question_mark"], "On this screen"),
            (["escape", "comma"], "tiers.exact"),
            (["escape", "h"], "moves 0"),
            (["escape", "l"], "connected"),
            (["escape", "enter"], "exact"),
            (["enter"], "KEEPER"),
            (["f"], "1/"),
        ):
            await review.press(*keys)
            await review.until(
                lambda words=words: words in review.text() or (words == "1/" and "2/" in review.text()), words
            )


async def test_ten_thousand_groups_in_one_month(
    reviewing: Reviewing, record_property: pytest.Testing
) -> None:  # type: ignore[name-defined]
    async with reviewing(groups=10_000) as review:
        started = time.perf_counter()
        await review.press("enter")
        await review.until(
            lambda: isinstance(review.app.screen, GroupsScreen) and review.rows().items, "the first page"
        )
        first = time.perf_counter() - started
        await review.until(lambda: len(review.rows().items) == 10_000, "all of them")
        complete = time.perf_counter() - started
        started = time.perf_counter()
        await review.press("end")
        await review.press("3")
        assert {g.relation for g in review.rows().items} == {"copy"}
        record_property(
            "seconds", {"first page": first, "all": complete, "two keys": time.perf_counter() - started}
        )


def test_the_app_brings_nothing_heavy_before_its_first_frame() -> None:
    """In a fresh interpreter: what the static imports cannot show."""
    code = (
        "import dedupd.tui.app, dedupd.cli.commands.review, sys;"
        f"print([m for m in sys.modules if m.split('.')[0] in {HEAVY!r}"
        " or m.startswith(('dedupd.core', 'dedupd.pipeline', 'dedupd.adapters', 'dedupd.library'))"
        " or m.startswith('dedupd.tui.screens.') and not m.endswith(('.full_screen', '.months'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_command_alone_does_not_load_textual() -> None:
    code = "import dedupd.cli.commands.review, sys; print('textual' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


async def test_pictures_come_without_numpy_torch_or_textual_image(reviewing: Reviewing) -> None:
    loaded = set(sys.modules)
    async with reviewing(groups=8, images="half") as review:
        await review.open_month()
        await review.until(lambda: any(p.drawn for p in review.app.screen.query("PictureView")), "a picture")  # type: ignore[attr-defined]
        assert not {
            m
            for m in set(sys.modules) - loaded
            if m.split(".")[0] in ("torch", "numpy", "lancedb", "pyarrow")
        }
