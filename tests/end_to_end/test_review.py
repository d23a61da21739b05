"""The reviewer in front of the real daemon: what its keys do to the files, and that `u` takes it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from dedupd.protocol.views import StatusView
from dedupd.tui.app import ReviewApp
from dedupd.tui.screens.compare_group import CompareScreen
from dedupd.tui.screens.try_settings import SettingsScreen
from dedupd.tui.widgets.picture_view import PictureView
from tests.end_to_end.house import Daemon, House
from tests.tui.conftest import Review


@asynccontextmanager
async def reviewing(daemon: Daemon, images: str = "off") -> AsyncIterator[Review]:
    app = ReviewApp(daemon.house.places.socket, images=cast("Any", images))
    async with app.run_test(size=(120, 40)) as pilot:
        review = Review(app, pilot, cast("Any", None))
        await review.until(lambda: app.state.months, "the months")
        yield review


async def until(daemon: Daemon, review: Review, moved: int) -> None:
    """The daemon has so many files moved, and the reviewer knows."""
    await review.settled()
    await asyncio.to_thread(daemon.settled, lambda s: _moved(s, moved))
    await review.until(lambda: review.app.state.status.moved == moved, f"{moved} moved")


def _moved(status: StatusView, count: int) -> bool:
    return status.moved == count


async def test_the_first_yes_and_its_undo_on_real_files(pair: House) -> None:
    before = pair.photos()
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        async with reviewing(daemon) as review:
            await review.until(lambda: "1 file is ready to move" in review.text())
            await review.press("A")
            await review.asked()
            await review.press("y")
            await until(daemon, review, 1)
            assert (pair.root / "2024/06/duplicates/IMG_1 copy.jpg").exists()
            assert review.app.state.status.bytes_saved > 0, "savings are live"
            await review.press("u")
            await until(daemon, review, 0)
        daemon.look()
        assert pair.photos() == before, "and it stays there"


async def test_a_proposal_taken_back_is_proposed_again_until_the_first_yes(pair: House) -> None:
    before = pair.photos()
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        async with reviewing(daemon) as review:
            await review.open_month()
            for compare in (False, True):
                await review.until(lambda: getattr(review.rows().current, "state", "") == "proposed", "it")
                if compare:
                    await review.press("enter")
                    await review.until(lambda: isinstance(review.app.screen, CompareScreen), "Compare")
                    await review.shown()
                await review.press("a")
                await until(daemon, review, 1)
                await review.press("u")
                await until(daemon, review, 0)
                await review.until(lambda: review.app.state.status.waiting_to_move == 1, "proposed again")
        assert pair.cli("feedback", "--json").json == [], "what was taken back taught nothing"
        daemon.look()
        assert pair.photos() == before, "and nothing moves before a yes"


async def test_what_was_taken_back_stays_once_proposals_move_by_themselves(pair: House) -> None:
    """P11: after the first yes, given meanwhile, the group must not be proposed again."""
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        async with reviewing(daemon) as review:
            await review.open_month()
            await review.until(lambda: review.rows().items, "the group")
            await review.press("a")
            await until(daemon, review, 1)
            pair.add("2024/06/IMG_2 copy.jpg", 2)
            await asyncio.to_thread(daemon.look)
            await asyncio.to_thread(daemon.approve_all)
            await until(daemon, review, 2)
            await review.press("u")
            await until(daemon, review, 1)
            assert any("stays from now on" in line.text for line in review.app.state.log)
        daemon.look()
        assert (pair.root / "2024/06/IMG_1 copy.jpg").exists()
        assert not (pair.root / "2024/06/IMG_2 copy.jpg").exists()


async def test_what_waits_is_approved_taken_back_rejected_and_forgotten(pair: House) -> None:
    pair.configure(tiers={"exact": "review"})
    before = pair.photos()
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.groups_waiting == 1)
        async with reviewing(daemon, images="half") as review:

            async def waiting(count: int) -> None:
                await review.settled()
                await review.until(
                    lambda: review.app.state.status.groups_waiting == count, f"{count} waiting"
                )

            await review.open_group()
            await review.until(
                lambda: sum(p.drawn for p in review.app.screen.query(PictureView)) == 2, "pictures"
            )
            await review.press("a")
            await until(daemon, review, 1)
            await waiting(0)
            await review.press("u")
            await until(daemon, review, 0)
            await waiting(1)
            await review.until(
                lambda: review.rows().current and review.rows().current.state == "review", "again"
            )
            await review.press("n")
            await waiting(0)
            await review.press("h", "v")
            await review.until(lambda: "≠ never duplicates" in review.text(), "the lesson")
            assert [lesson.kind for lesson in review.rows().items] == ["different"], (
                "what was taken back taught nothing"
            )
            await review.press("u")
            await waiting(1)
        assert pair.photos() == before
        assert pair.cli("verify").code == 0


async def test_settings_are_counted_by_the_daemon_and_written_with_their_comments(pair: House) -> None:
    pair.config.write_text("# ours, by hand\n" + pair.config.read_text())
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        async with reviewing(daemon) as review:
            await review.press("comma")
            await review.until(
                lambda: isinstance(review.app.screen, SettingsScreen) and "hashes alone" in review.text()
            )
            await review.press("right")
            await review.until(lambda: "would not move any more" in review.text(), "the count")
            text = " ".join(review.text().split())
            assert "move by themselves 1 → 0 files" in text
            assert "wait for you 0 → 1 files" in text
            await review.press("W")
            await review.asked()
            assert "tiers.exact = review was move" in " ".join(review.text().split())
            await review.press("y")
            await review.until(lambda: "Written." in review.app.state.log[-1].text)
    assert pair.config.read_text().startswith("# ours, by hand\n")
    with pair.daemon() as daemon:
        status = daemon.settled(lambda s: s.groups_waiting == 1)
        assert status.waiting_to_move == 0, "it follows the new setting"


@pytest.mark.slow
async def test_a_hundred_groups_take_hardly_more_than_a_key_each(house: House) -> None:
    for number in range(100):
        house.add(f"2024/06/IMG_{number:03}.jpg", number, size=(160, 120))
        house.add(f"2024/06/IMG_{number:03} (1).jpg", number, size=(160, 120))
    with house.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 100)
        async with reviewing(daemon) as review:
            keys = ["enter", "enter"]
            await review.open_group()
            while review.app.screen.id_now and len(keys) < 131:  # type: ignore[attr-defined]
                await review.shown()
                keys.append("a")
                await review.press("a")
                if type(review.app.screen).__name__ != "CompareScreen":
                    break
            await until(daemon, review, 100)
            assert len(keys) <= 130, "1.3 keys a group"
