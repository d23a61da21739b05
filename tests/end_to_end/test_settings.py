"""config.toml changes while the daemon runs: what can be followed is, what cannot is said, nothing broken is believed."""

from __future__ import annotations

import json
import time

import pytest

from dedupd.protocol.messages import GetSettings, SettingsView
from tests.end_to_end.house import Daemon, House


def settings(daemon: Daemon) -> SettingsView:
    return daemon.ask(GetSettings(), SettingsView)


def test_another_tier_is_followed_without_a_restart(pair: House) -> None:
    pair.configure(tiers={"exact": "review"})
    with pair.daemon("--yes") as daemon:
        assert daemon.settled(lambda s: s.groups_waiting == 1).moved == 0
        pair.configure(tiers={"exact": "move"})
        daemon.settled(lambda s: s.moved == 1)
    assert "tiers.exact: review → move" in pair.log()


def test_another_timetable_is_followed_without_a_restart(house: House) -> None:
    with house.daemon() as daemon:
        assert (daemon.settled().next_run or 0.0) > time.time() + 600
        house.configure(schedule={"interval_minutes": 1, "nightly": ""})
        daemon.until(lambda s: s.next_run is not None and s.next_run < time.time() + 61)
        assert (settings(daemon).interval_minutes, settings(daemon).nightly) == (1, "")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [('keep_policy = "oldest\n', "is not valid TOML"), ('keep_policy = "oldst"\n', 'did you mean "oldest"?')],
)
def test_a_broken_file_changes_nothing_and_is_told_of_until_it_is_mended(
    house: House, broken: str, complaint: str
) -> None:
    house.configure(keep_policy="newest")
    with house.daemon() as daemon:
        house.config.write_text(broken)
        status = daemon.until(lambda s: any(complaint in sentence for sentence in s.attention))
        (told,) = (each for each in status.attention if complaint in each)
        assert told.startswith("the settings stay as they were: ")
        assert len(told.splitlines()) == 1
        assert settings(daemon).keep_policy == "newest"
        assert house.log().count(told) == 1
        house.configure(keep_policy="oldest")
        daemon.until(lambda s: told not in s.attention)
        assert settings(daemon).keep_policy == "oldest"


def test_a_file_that_is_gone_changes_nothing(house: House) -> None:
    house.configure(keep_policy="newest")
    with house.daemon() as daemon:
        house.config.unlink()
        daemon.until(lambda s: any("is gone" in sentence for sentence in s.attention))
        assert settings(daemon).keep_policy == "newest"


def test_what_a_running_daemon_cannot_follow_is_said_and_the_rest_followed(pair: House) -> None:
    other = pair.folder / "Other"
    other.mkdir()
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        pair.configure(roots=[str(pair.root), str(other)], embedder="lite0", keep_policy="newest")
        status = daemon.until(lambda s: any("state.toml" in each for each in s.attention))
        *_, roots, model = status.attention
        assert "names other folders than this daemon watches: restart it" in roots
        assert "switch with `dedupd models use lite0`" in model
        assert settings(daemon).keep_policy == "newest"
        assert json.loads(pair.cli("status", "--json").out)["attention"] == status.attention


def test_a_scan_right_after_the_change_goes_by_it(pair: House) -> None:
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        pair.configure(keep_policy="oldest")
        assert pair.scan("--yes")["keep_policy"] == "oldest"
