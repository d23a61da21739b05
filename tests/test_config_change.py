"""Single keys of config.toml set on a person's word: everything else in the file stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dedupd.config import example_config, load
from dedupd.config.change import change
from dedupd.errors import ConfigError

MINE = """# my photos
roots = ["/srv/photos"]   # the NAS

keep_policy = "best"  # best is best

[schedule]
nightly = "" # never
"""


def test_comments_order_and_other_keys_stay(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(MINE)
    change(file, {"keep_policy": "oldest", "tiers.burst": "review", "threshold": 0.93})
    text = file.read_text()
    for line in ("# my photos", 'roots = ["/srv/photos"]   # the NAS', 'keep_policy = "oldest"  # best is best', 'nightly = "" # never'):  # fmt: skip
        assert line in text, line
    assert tomllib.loads(text) == {
        "roots": ["/srv/photos"], "keep_policy": "oldest", "threshold": 0.93, "schedule": {"nightly": ""},
        "tiers": {"burst": "review"},
    }  # fmt: skip
    settings = load(file, offline_ok=True)
    assert (settings.keep_policy, settings.tiers.burst, settings.threshold) == ("oldest", "review", 0.93)


def test_the_documented_example_takes_every_change_and_a_missing_file_is_made(tmp_path: Path) -> None:
    example, new = tmp_path / "example.toml", tmp_path / "made/config.toml"
    example.write_text(example_config([tmp_path]))
    for file in (example, new):
        change(file, {"tiers.copy": "review", "threshold": 0.5})
        settings = load(file, offline_ok=True)
        assert (settings.tiers.copy, settings.threshold) == ("review", 0.5)


def test_a_link_stays_a_link_and_its_target_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    target.write_text(MINE)
    target.chmod(0o640)
    link.symlink_to(target)
    change(link, {"threshold": 0.9})
    assert link.is_symlink()
    assert "threshold = 0.9" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml", "dotfiles.toml"]


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (MINE, {"tiers.similar": "move"}),
        (MINE, {"threshold": 2.0}),
        (MINE, {"treshold": 0.9}),
        ("roots = [", {"threshold": 0.9}),
        ("tiers = 7\n", {"tiers.burst": "review"}),
        (b"\xff\n", {"threshold": 0.9}),
    ],
)
def test_what_could_not_be_followed_is_not_written(
    tmp_path: Path, text: str | bytes, changes: dict[str, str | float]
) -> None:
    file = tmp_path / "config.toml"
    before = text if isinstance(text, bytes) else text.encode()
    file.write_bytes(before)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        change(file, changes)
    assert file.read_bytes() == before
