"""The line to the daemon: none, one, another, and what arrives unasked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dedupd.protocol.notices import Attention, FilesMoved, MonthChanged, Progressed, Resync, StatusChanged
from dedupd.protocol.requests import Approve, GetGroup, GetMonths, Subscribe
from dedupd.protocol.views import ProgressView
from dedupd.tui.app import ReviewApp
from tests.tui.conftest import Reviewing


async def test_it_paints_and_says_clearly_that_no_daemon_runs(reviewing: Reviewing) -> None:
    async with reviewing(online=False) as review:
        await review.until(lambda: "No daemon runs" in review.text() and review.app.state.why_offline)
        assert "No daemon runs" in review.text()
        await review.until(lambda: "no daemon answers at" in review.text())


async def test_it_connects_by_itself_when_a_daemon_comes(reviewing: Reviewing) -> None:
    async with reviewing(online=False) as review:
        await review.until(lambda: "No daemon runs" in review.text() and review.app.state.why_offline)
        await review.fake.start()
        await review.until(lambda: review.app.state.months)
        assert "No daemon runs" not in review.text()
        assert review.fake.of(Subscribe), "it follows what changes"


async def test_it_reconnects_and_shows_what_was_known_meanwhile(reviewing: Reviewing) -> None:
    async with reviewing(groups=12) as review:
        await review.fake.stop()
        await review.until(lambda: not review.app.state.online)
        await review.calm()
        assert "No daemon answers" in review.text()
        assert "2024-06" in review.text(), "what was last known stays in sight"
        asked = len(review.fake.of(GetMonths))
        await review.fake.start()
        await review.until(lambda: review.app.state.online)
        await review.until(lambda: len(review.fake.of(GetMonths)) > asked)


async def test_s_starts_a_daemon_and_only_when_there_is_none(reviewing: Reviewing, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    async with reviewing(online=False) as review:
        review.app.daemon_launcher.command = [sys.executable, "-c", f"open({str(mark)!r}, 'w').close()"]
        review.app.refresh_bindings()
        await review.until(lambda: "No daemon runs" in review.text() and review.app.state.why_offline)
        await review.press("s")
        await review.until(mark.exists)
        await review.until(lambda: any("ended at once" in line.text for line in review.app.state.log))
        mark.unlink()
        await review.fake.start()
        await review.until(lambda: review.app.state.online)
        assert review.app.check_action("start_daemon", ()) is False


@pytest.mark.parametrize("known", [True, False], ids=["months are known", "nothing is known"])
async def test_why_no_daemon_could_be_started_stays_to_be_read(reviewing: Reviewing, known: bool) -> None:
    async with reviewing(online=known) as review:
        if known:
            await review.fake.stop()
        why = "no folder to watch: name one"
        review.app.daemon_launcher.command = [sys.executable, "-c", f"raise SystemExit({why!r})"]
        await review.until(lambda: not review.app.state.online)
        review.app.refresh_bindings()
        await review.press("s")
        await review.until(lambda: why in review.text())
        await review.without_toasts()
        review.app.follower.disconnected("still nobody")  # each try to connect
        await review.calm()
        assert why in review.text()
        review.app.daemon_launcher.command = [sys.executable, "-c", "raise SystemExit('another reason')"]
        await review.press("s")
        await review.until(lambda: "another reason" in review.text() and why not in review.text())
        await review.without_toasts()
        assert "another reason" in review.text()
        await review.fake.start()
        await review.until(lambda: review.app.state.online and "another reason" not in review.text())
        await review.fake.stop()
        await review.until(lambda: not review.app.state.online)
        await review.calm()
        assert "another reason" not in review.text()


async def test_progress_is_shown_with_rate_and_eta(reviewing: Reviewing) -> None:
    async with reviewing() as review:
        view = ProgressView(phase="indexing", done=1204, total=12000, rate=14.2, eta=760)
        await review.fake.notify(Progressed(progress=view))
        await review.until(lambda: review.app.state.progress)
        await review.calm()
        assert "Indexing 1,204 of 12,000 · 14/s · 13 min left" in review.text()
        await review.fake.notify(Progressed(progress=None))
        await review.until(lambda: review.app.state.progress is None)
        await review.calm()
        assert "next run in 57 min" in review.text()


async def test_why_heavy_work_waits_is_told_in_full_on_a_small_screen_too(reviewing: Reviewing) -> None:
    async with reviewing(size=(80, 24)) as review:
        review.fake.waits = "the machine is busy (load 3.1 a core, more than 2.0): heavy work goes on when it is calmer (speed.load)"
        await review.fake.notify(StatusChanged(status=review.fake._status()))
        await review.until(
            lambda: "waits: the machine is busy" in review.text() and "(speed.load)" in review.text()
        )


async def test_a_changed_month_is_asked_again_once_for_many_notices(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        asked = len(review.fake.of(GetMonths))
        review.fake.groups.pop(1)
        for _ in range(50):
            await review.fake.notify(MonthChanged(root="/home/ann/Pictures", month="2024-06"))
        await review.until(lambda: len(review.rows().items) == 7)
        assert 1 not in review.app.state.groups
        assert len(review.fake.of(GetMonths)) <= asked + 2


async def test_resync_asks_for_everything_again(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        review.fake.groups.pop(2)
        await review.fake.notify(Resync())
        await review.until(lambda: 2 not in review.app.state.groups and review.app.state.loaded)
        await review.until(lambda: len(review.rows().items) == 7)


async def test_attention_and_moves_are_told_and_logged(reviewing: Reviewing) -> None:
    async with reviewing() as review:
        await review.fake.notify(Attention(message="the keeper of two copies vanished: the best came back"))
        await review.fake.notify(FilesMoved(month="2024-06", moved=3, message="Moved 3 files in 2024/06."))
        await review.until(lambda: len(review.app.state.log) >= 3)
        await review.press("l")
        await review.calm()
        assert "keeper of two copies vanished" in review.text()
        assert "Moved 3 files" in review.text()


async def test_nothing_is_acted_without_a_daemon(reviewing: Reviewing) -> None:
    async with reviewing(groups=4) as review:
        await review.open_month()
        await review.fake.stop()
        await review.until(lambda: not review.app.state.online)
        await review.press("a")
        await review.calm()
        assert not review.app.action_queue.done
        assert "nothing was done" in review.app.state.log[-1].text


async def test_who_looks_does_not_wait_for_an_action_under_way(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        review.fake.hold.clear()
        await review.press("a")
        await review.until(lambda: review.fake.of(Approve))
        asked = len(review.fake.of(GetGroup))
        await review.press("enter")
        await review.until(lambda: len(review.fake.of(GetGroup)) > asked)
        review.fake.hold.set()
        await review.settled()


async def test_a_line_that_breaks_during_an_action_repeats_nothing(reviewing: Reviewing) -> None:
    async with reviewing(groups=4) as review:
        await review.open_month()
        review.fake.hold.clear()
        await review.press("a")
        await review.until(lambda: any(type(r).__name__ == "Approve" for r in review.fake.asked))
        await review.fake.stop()
        await review.until(lambda: not review.app.state.acting)
        assert not review.app.action_queue.done, "undo must not find what may never have happened"
        review.fake.hold.set()
        await review.fake.start()
        await review.until(lambda: review.app.state.online)
        assert sum(type(r).__name__ == "Approve" for r in review.fake.asked) == 1


def test_the_app_is_built_without_a_terminal_or_daemon(tmp_path: Path) -> None:
    assert ReviewApp(tmp_path / "none").state.online is False


async def test_pause_and_resume_from_the_palette(reviewing: Reviewing) -> None:
    async with reviewing() as review:
        commands = {command.title: command for command in review.app.get_system_commands(review.app.screen)}
        commands["Pause"].callback()
        await review.until(lambda: review.fake.paused)
        commands["Resume"].callback()
        await review.until(lambda: not review.fake.paused)
