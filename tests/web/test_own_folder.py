"""What `dedupd web` empties is only what it made."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from dedupd.config import Places
from dedupd.errors import StateError
from dedupd.web.asgi_app import own_folder


def test_pictures_of_somebody_in_a_folder_of_that_name_stay(tmp_path: Path) -> None:
    """A state folder chosen where a web site's pictures lie."""
    photo = tmp_path / "web" / "pictures" / "photo.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a photo")
    with pytest.raises(StateError, match="not dedupd's"), own_folder(places(tmp_path)):
        pass
    assert photo.read_bytes() == b"a photo"


def test_a_link_to_somebodys_folder_is_not_emptied(tmp_path: Path) -> None:
    photo = tmp_path / "site" / "pictures" / "photo.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a photo")
    state = tmp_path / "state"
    state.mkdir()
    (state / "web").symlink_to(tmp_path / "site")
    with pytest.raises(StateError, match="is a link"), own_folder(places(state)):
        pass
    assert photo.exists()


def test_what_a_crash_of_the_server_left_goes(tmp_path: Path) -> None:
    with own_folder(places(tmp_path)) as folder:
        (folder / "pictures" / "large.jpg").touch()
        left = (folder / "pictures" / "large.jpg").read_bytes()
    (folder / "pictures").mkdir()
    (folder / "pictures" / "large.jpg").write_bytes(left)
    with own_folder(places(tmp_path)) as folder:
        assert not list((folder / "pictures").iterdir())


def places(state: Path) -> Places:
    return Places(state=state, config=state / "config.toml", socket=state / "dedupd.sock")
