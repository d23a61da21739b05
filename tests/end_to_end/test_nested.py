"""A disk that is mounted inside a root: a root of its own with its place in the months, and nobody's while it is away."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dedupd.adapters.fs.safe_paths import MARKER
from tests.end_to_end.house import House
from tests.support.shelf import Shelf

MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def may_mount(at: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run([*MOUNT, f"mount -t tmpfs none {at}"], check=False, capture_output=True).returncode
        == 0
    )


def test_a_disk_mounted_at_a_year_is_a_root_of_its_own(house: House) -> None:
    house.configure()
    year, report, disk = house.root / "2024", house.folder / "report.json", house.folder / "disk"
    house.add("2023/05/a.jpg", 1)
    house.add("2023/05/a-small.jpg", 1, size=(240, 180))
    house.add("2024/06/b.jpg", 2)
    house.add("2024/06/b-small.jpg", 2, size=(240, 180))
    shutil.copytree(year, disk)
    shutil.rmtree(year)
    year.mkdir()
    if not may_mount(year):
        pytest.skip("this machine allows no mounts")
    scan = house.command("scan", house.root, year, "--yes", "--report", report)
    script = f'mount -t tmpfs none {year} && cp -a {disk}/. {year} && "$@" && find {year} -type f'
    done = subprocess.run(
        [*MOUNT, script, "sh", *scan], capture_output=True, text=True, check=False, env=house.env
    )
    assert done.returncode == 0, done.stderr
    assert "another file system" not in done.stderr
    groups = {group["month"]: group for group in json.loads(report.read_text())["groups"]}
    assert groups["2024-06"]["root"] == str(year)
    assert groups["2024-06"]["moved_to"] == {"06/b-small.jpg": "06/duplicates/b-small.jpg"}
    assert groups["2023-05"]["moved_to"] == {"2023/05/a-small.jpg": "2023/05/duplicates/a-small.jpg"}
    assert f"{year}/06/duplicates/b-small.jpg" in done.stdout
    assert f"{year}/duplicates_summary/2024-06.md" in done.stdout


def test_while_its_disk_is_away_the_place_belongs_to_the_root_around_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, roots=("Pictures", "Pictures/2024"))
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    assert shelf.pass_().files == 1
    assert (shelf.root / "2024/06/duplicates/a-small.jpg").exists()
    assert not (shelf.root / "2024" / MARKER).exists()
    assert "mount its own disk there" in shelf.library.problems[str(shelf.root / "2024")]
    assert [root.online for root in shelf.library.roots] == [True, False]
    shelf.close()
