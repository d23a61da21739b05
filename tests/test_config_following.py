"""When a changed config.toml is believed, and that a library that follows it is as one started with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dedupd.config import Schedule, Settings, Tiers, load
from dedupd.config import following as module
from dedupd.config.following import LEFT_ALONE_SECONDS, ConfigFile
from dedupd.errors import ConfigError
from tests.support.shelf import Shelf


class Desk:
    """A config.toml and the seconds that pass beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "config.toml"
        self.now = 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.write("newest")
        self.file = ConfigFile(self.path, lambda: load(self.path))
        assert self.after() is not None

    def write(self, policy: str) -> None:
        self.path.write_text(f'keep_policy = "{policy}"\n')

    def after(self, seconds: float = LEFT_ALONE_SECONDS) -> Settings | None:
        self.file.changed()
        self.now += seconds
        return self.file.changed()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_a_change_is_told_once(desk: Desk) -> None:
    assert desk.after() is None
    desk.write("oldest")
    found = desk.after()
    assert found is not None and found.keep_policy == "oldest"
    assert desk.after() is None


def test_an_empty_draft_is_never_taken_for_the_defaults(desk: Desk) -> None:
    desk.path.write_text("")
    assert desk.after(LEFT_ALONE_SECONDS / 2) is None
    desk.write("oldest")
    assert desk.after(LEFT_ALONE_SECONDS / 2) is None
    found = desk.after()
    assert found is not None and found.keep_policy == "oldest"


def test_a_broken_file_is_told_once_and_read_again_when_mended(desk: Desk) -> None:
    desk.write("oldst")
    with pytest.raises(ConfigError, match="oldest"):
        desk.after()
    assert desk.after() is None
    desk.write("oldest")
    assert desk.after() is not None


def test_a_file_that_is_gone_is_not_taken_for_the_defaults(desk: Desk) -> None:
    desk.path.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        desk.after()
    desk.write("oldest")
    assert desk.after() is not None


def test_what_changed_is_named(tmp_path: Path) -> None:
    before = Settings(roots=(tmp_path,))
    after = replace(before, tiers=Tiers(burst="review"), threshold=0.9, ignore=("*.gif", "x"))
    assert after.unlike(before) == [
        "tiers.burst: move → review",
        "threshold: None → 0.9",
        "ignore:  → *.gif, x",
    ]
    assert before.unlike(before) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"tiers": Tiers(copy="review")},
        {"tiers": Tiers(exact="off", copy="off")},
        {"threshold": 0.99},
        {"threshold": 0.5},
        {"keep_policy": "smallest"},
        {"keep_policy": "newest"},
        {"ignore": ("07",)},
        {"ignore": ("*small*",)},
        {"ignore_defaults": False},
        {"protected": ("2024/07",)},
        {"schedule": Schedule(settle_seconds=3600.0)},
        {"metadata": "off"},
        {"allow_shared_roots": True},
        {"batch_size": 2},
    ],
    ids=repr,
)
def test_followed_it_is_as_started_with_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    followed, started = Shelf(tmp_path / "one"), Shelf(tmp_path / "two")
    found: list[object] = []
    for shelf in (followed, started):
        changed = dict(changes)
        if "protected" in changed:
            changed["protected"] = tuple(shelf.path(folder) for folder in changes["protected"])
        shelf.root.chmod(0o777 if "allow_shared_roots" in changes else 0o755)
        shelf.pair("2024/06/a.jpg", "2024/06/a small.jpg")
        shelf.pair("2024/06/b.jpg", "2024/07/b small.jpg", "hill")
        shelf.add("2024/06/c.jpg", "hill", exposure="2")
        shelf.pair("#recycle/d.jpg", "2024/06/d small.jpg", "sea")
        shelf.look()
        if shelf is followed:
            assert shelf.library.follow(replace(shelf.library.settings, **changed)) == []
        else:
            shelf.again(**changed)
        moved = shelf.pass_()
        said = [
            each.replace(str(shelf.at), "")
            for each in (*moved.messages, *shelf.library.roots.problems.values())
        ]
        found.append((shelf.stars(), sorted(shelf.files()), sorted(said)))
        shelf.close()
    assert found[0] == found[1]


def test_the_defaults_and_the_changed_settings_differ_in_that_library(shelf: Shelf) -> None:
    """The comparison above compares something: with its tiers off, nothing moves there; by default both copies do."""
    shelf.pair("2024/06/a.jpg", "2024/06/a small.jpg")
    shelf.look()
    shelf.library.follow(replace(shelf.library.settings, tiers=Tiers(copy="review")))
    assert shelf.pass_().files == 0
    shelf.library.follow(replace(shelf.library.settings, tiers=Tiers()))
    assert shelf.pass_().files == 1


def test_other_folders_and_another_model_are_refused_and_the_rest_is_followed(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.add("2024/06/a.jpg")
    shelf.look()
    wanted = replace(
        shelf.library.settings, roots=(tmp_path / "Elsewhere",), embedder="hashes", keep_policy="newest"
    )
    roots, model = shelf.library.follow(wanted)
    assert "restart it" in roots and "models use hashes" in model
    assert shelf.library.settings == replace(
        wanted, roots=tuple(shelf.roots), embedder=shelf.library.settings.embedder
    )


def test_a_lower_threshold_is_what_the_eyes_are_asked_with(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/a small.jpg")
    shelf.look()
    asked: list[Any] = []
    usual = shelf.vision.propose

    def propose(fresh: Any, among: Any, min_cosine: Any = None, *others: Any) -> Any:
        asked.append(min_cosine)
        return usual(fresh, among, min_cosine, *others)

    monkeypatch.setattr(shelf.vision, "propose", propose)
    shelf.library.follow(replace(shelf.library.settings, threshold=0.5))
    shelf.look()
    assert 0.5 in asked
