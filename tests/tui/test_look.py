"""How the main screens look: words at a fixed size and time. UPDATE_SCREENS=1 writes them anew; read the diff."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.protocol.notices import Progressed
from dedupd.protocol.views import ProgressView
from tests.tui.conftest import Review, Reviewing

SCREENS = Path(__file__).parent / "screens"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def check(review: Review, name: str) -> None:
    """The screen becomes what it was when somebody last looked at it."""
    path = SCREENS / f"{name}.txt"

    def shown() -> str:
        return "\n".join(line.rstrip() for line in review.text().splitlines()) + "\n"

    if os.environ.get("UPDATE_SCREENS"):
        await review.pilot.pause(1.0)
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown())
    expected = path.read_text()
    with contextlib.suppress(AssertionError):
        await review.until(lambda: shown() == expected)  # the footer follows some messages later
    assert shown() == expected, f"{name} looks different"


async def test_no_daemon(reviewing: Reviewing) -> None:
    async with reviewing(size=(80, 24), online=False) as review:
        review.app.daemon_link.path = Path("/run/user/1000/dedupd/dedupd.sock")
        review.app.daemon_launcher.command = ["dedupd", "run"]
        review.app.state.why_offline = "no daemon answers at /run/user/1000/dedupd/dedupd.sock"
        review.app.refresh_bindings()
        await review.until(lambda: "No daemon runs" in review.text())
        review.app.publish("connection")
        await review.until(lambda: "(No such file" in review.text())
        await check(review, "no_daemon")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_months_before_the_first_yes(reviewing: Reviewing, size: tuple[int, int]) -> None:
    async with reviewing(size=size, groups=60, months=8, consented=False) as review:
        view = ProgressView(phase="indexing", done=1204, total=12000, rate=14.2, eta=760)
        await review.fake.notify(Progressed(progress=view))
        await review.until(lambda: "Indexing" in review.text())
        await review.calm()
        await check(review, f"months_{size[0]}")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_groups_and_compare(reviewing: Reviewing, size: tuple[int, int]) -> None:
    async with reviewing(size=size, groups=60, months=8) as review:
        await review.open_month()
        await review.until(lambda: "keeper:" in review.text())
        await review.until(lambda: "pictures are off" in review.text())
        await check(review, f"groups_{size[0]}")
        await review.press("3", "enter")
        await review.shown()
        await review.until(lambda: "pictures are off" in review.text())
        await check(review, f"compare_{size[0]}")


async def test_settings_with_others_tried(reviewing: Reviewing) -> None:
    async with reviewing(size=(100, 24), groups=24) as review:
        await review.press("comma")
        await review.until(lambda: "best" in review.text())
        await review.press("j", "right", "j", "j", "j", "right")
        await review.until(lambda: "would not move" in review.text())
        await check(review, "settings")


async def test_history_after_a_class_was_approved(reviewing: Reviewing) -> None:
    async with reviewing(size=(100, 24), groups=8) as review:
        await review.press("A")
        await review.asked()
        await check(review, "consent")
        await review.press("y")
        await review.settled()
        await review.press("h")
        await review.until(lambda: "moves 7" in review.text())
        await check(review, "history")


async def test_help(reviewing: Reviewing) -> None:
    async with reviewing(size=(100, 40)) as review:
        await review.open_group()
        await review.press("question_mark")
        await review.until(lambda: "Everywhere" in review.text())
        await check(review, "help")
