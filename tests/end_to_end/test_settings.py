"""config.toml changes while the daemon runs: what can be followed is, what cannot is said, nothing broken is believed."""

from __future__ import annotations

import time

from dedupd.protocol.requests import GetSettings
from dedupd.protocol.views import SettingsView
from tests.end_to_end.house import Daemon, House


def settings(daemon: Daemon) -> SettingsView:
    return daemon.ask(GetSettings(), SettingsView)


def told(daemon: Daemon, words: str) -> str:
    """The sentence with these words, waited for."""
    status = daemon.until(lambda s: any(words in sentence for sentence in s.attention))
    (sentence,) = (sentence for sentence in status.attention if words in sentence)
    return sentence


def test_another_tier_and_timetable_are_followed_without_a_restart(pair: House) -> None:
    pair.configure(tiers={"exact": "review"})
    with pair.daemon("--yes") as daemon:
        status = daemon.settled(lambda s: s.groups_waiting == 1)
        assert status.moved == 0
        assert (status.next_run or 0.0) > time.time() + 600
        pair.configure(tiers={"exact": "move"}, schedule={"interval_minutes": 1, "nightly": ""})
        daemon.settled(lambda s: s.moved == 1)
        daemon.until(lambda s: s.next_run is not None and s.next_run < time.time() + 61)
        assert (settings(daemon).interval_minutes, settings(daemon).nightly) == (1, "")
    assert "tiers.exact: review → move" in pair.log()


def test_a_broken_file_changes_nothing_and_is_told_of_until_it_is_mended(house: House) -> None:
    house.configure(keep_policy="newest")
    with house.daemon() as daemon:
        house.config.write_text('keep_policy = "oldest\n')
        broken = told(daemon, "is not valid TOML")
        house.config.write_text('keep_policy = "oldst"\n')
        wrong = told(daemon, 'did you mean "oldest"?')
        house.config.unlink()
        gone = told(daemon, "is gone")
        for sentence in (broken, wrong, gone):
            assert sentence.startswith("the settings stay as they were: ")
            assert len(sentence.splitlines()) == 1
            assert house.log().count(sentence) == 1
        assert settings(daemon).keep_policy == "newest"
        house.configure(keep_policy="oldest")
        status = daemon.until(lambda s: gone not in s.attention)
        assert broken not in status.attention and wrong not in status.attention
        assert settings(daemon).keep_policy == "oldest"


def test_what_a_running_daemon_cannot_follow_is_said_and_a_scan_goes_by_the_rest_at_once(pair: House) -> None:
    other = pair.folder / "Other"
    other.mkdir()
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        pair.configure(roots=[str(pair.root), str(other)], embedder="lite0", keep_policy="newest")
        roots = told(daemon, "names other folders than this daemon watches: restart it")
        model = told(daemon, "switch with `dedupd models use lite0`")
        assert settings(daemon).keep_policy == "newest"
        assert {roots, model} <= set(pair.cli("status", "--json").json["attention"])
        pair.configure(keep_policy="oldest")
        assert pair.scan("--yes")["keep_policy"] == "oldest"
