"""The wheel, installed in a folder with a space in its name and started from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def ran(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_the_wheel_works_from_a_folder_with_a_space(tmp_path: Path) -> None:
    """What it depends on is that of the tests: no index is asked."""
    ran(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path,
        REPOSITORY, cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("dedupd-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith("tests/") or "/tests/" in name]
    place = tmp_path / "my tools" / "env"
    venv.create(place, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    ran(
        sys.executable, "-m", "pip", "--python", place / "bin/python", "install", "-q", "--no-deps", "--no-index", wheel,
        cwd=tmp_path,
    )  # fmt: skip
    (site / "theirs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home = tmp_path / "at home"
    home.mkdir()
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "XDG_RUNTIME_DIR": str(tmp_path)}
    dedupd = place / "bin/dedupd"
    where = ran(place / "bin/python", "-c", "import dedupd; print(dedupd.__file__)", cwd=home, env=kept)
    assert where.strip().startswith(str(site))
    assert "extras: " in ran(dedupd, "--version", cwd=home, env=kept)
    assert "--reflink" in ran(dedupd, "man", "undo", cwd=home, env=kept)
    told = ran(dedupd, "demo", cwd=home, env=kept)
    assert "moved" in told
    assert [path.name for path in home.iterdir() if not path.name.startswith(".")] == []
