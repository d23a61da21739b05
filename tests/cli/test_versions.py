"""`dedupd --version`, and what a wheel says of itself."""

from __future__ import annotations

from importlib import metadata

import pytest

from dedupd.cli.main import main
from dedupd.version import __version__

NEEDS = [
    "numpy>=2",
    "rawpy>=0.25; extra == 'raw'",
    "uvicorn<0.55,>=0.54; extra == 'web'",
    "fastapi>=0.165; extra == 'web'",
    "osxphotos>=0.77; (sys_platform == 'darwin') and extra == 'photos'",
    "pytest>=8; extra == 'test'",
    "playwright>=1.60; extra == 'browser'",
]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_the_version_tells_which_extras_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if name not in {"rawpy", "uvicorn"}:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "requires", lambda name: NEEDS)
    monkeypatch.setattr(metadata, "version", version)
    assert said(capsys) == f"dedupd {__version__}\nextras: raw (not installed: photos, web)\n"


def test_from_its_source_alone_it_is_the_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert said(capsys) == f"dedupd {__version__}\n"
